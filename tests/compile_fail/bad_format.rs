fn main() {
    tachograph::info!("{");
    tachograph::info!("{:y}", 1);
    tachograph::info!("}");
}
