//! What must not compile, and where the error points. Update with `TRYBUILD=overwrite`.

#[test]
fn errors_point_at_the_argument() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
