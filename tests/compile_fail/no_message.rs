fn main() {
    tachograph::info!();
    tachograph::info!(target: "x");
    tachograph::info!("key" = );
    tachograph::info!(a = 1; b = 2);
    tachograph::info!(a:json = 1);
}
