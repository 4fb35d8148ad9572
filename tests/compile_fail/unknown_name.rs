fn main() {
    tachograph::info!("order {order_id}");
}
