use tachograph::Value;

#[derive(Value)]
union Bits {
    a: u32,
    b: f32,
}

struct Opaque;

#[derive(Value)]
struct Holder {
    id: u64,
    opaque: Opaque,
}

#[derive(Value)]
enum Tree {
    Leaf,
    Node(Box<Tree>),
}

fn main() {}
