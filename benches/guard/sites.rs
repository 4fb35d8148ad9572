//! Functions whose difference in size is that of eight call sites.

/// A function with one call site, and one with nine.
macro_rules! pair {
    ($one:ident, $nine:ident, ($($arg:ident: $type:ty),*), $($call:tt)*) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub(crate) extern "C" fn $one($($arg: $type),*) {
            $($call)*
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        pub(crate) extern "C" fn $nine($($arg: $type),*) {
            $($call)* $($call)* $($call)* $($call)* $($call)* $($call)* $($call)* $($call)* $($call)*
        }
    };
}

pair!(
    guard_numbers_one, guard_numbers_nine, (i: u64),
    tachograph::info!(target: "bench", "Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64);
);
pair!(
    guard_text_one, guard_text_nine, (i: u64, text: &&'static str),
    tachograph::info!(target: "bench", "Logging iteration: {}, {}", i, *text);
);
pair!(
    guard_fields_one, guard_fields_nine, (i: u64),
    tachograph::info!(target: "bench", order_id = i, price = i as f64; "order filled");
);
pair!(
    guard_disabled_one, guard_disabled_nine, (i: u64),
    tachograph::debug!(target: "bench", "{}", i);
);

/// What is measured, and the names of its two functions.
pub(crate) const PAIRS: [(&str, &str, &str); 4] = [
    ("bytes of a call site, (u64, u64, f64)", "guard_numbers_one", "guard_numbers_nine"),
    ("bytes of a call site, string", "guard_text_one", "guard_text_nine"),
    ("bytes of a call site, two typed fields", "guard_fields_one", "guard_fields_nine"),
    ("bytes of a call site, debug!", "guard_disabled_one", "guard_disabled_nine"),
];
/// Call sites more in the second function of a pair.
pub(crate) const MORE: u64 = 8;

/// Keeps the functions in the program.
pub(crate) fn keep() {
    let all: [*const (); 8] = [
        guard_numbers_one as *const (),
        guard_numbers_nine as *const (),
        guard_text_one as *const (),
        guard_text_nine as *const (),
        guard_fields_one as *const (),
        guard_fields_nine as *const (),
        guard_disabled_one as *const (),
        guard_disabled_nine as *const (),
    ];
    std::hint::black_box(all);
}
