fn main() {
    tachograph::info!("{}", 1, 2);
}
