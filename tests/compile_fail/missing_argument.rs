fn main() {
    tachograph::info!("{} {}", 1);
}
