struct Opaque;

fn main() {
    let opaque = Opaque;
    tachograph::info!("{} {}", 1, opaque);
    tachograph::info!("{opaque:?}");
    tachograph::info!(opaque; "a field");
}
