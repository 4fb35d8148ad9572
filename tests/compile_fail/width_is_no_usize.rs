fn main() {
    let width = 5_u8;
    tachograph::info!("{:width$}", 1);
}
