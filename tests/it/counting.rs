//! A counter of allocations and of the bytes that are held, by thread, so that tests that run beside each other do not disturb it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    // A thread that is ending has no counter any more.
    COUNT
        .try_with(|it| it.set(it.get() + 1))
        .unwrap_or_default();
}

fn hold(bytes: usize, sign: i64) {
    let bytes = i64::try_from(bytes).unwrap_or_default();
    HELD.try_with(|it| it.set(it.get() + sign * bytes))
        .unwrap_or_default();
}

#[expect(
    unsafe_code,
    reason = "an allocator cannot be written otherwise; it only counts and passes on"
)]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        hold(layout.size(), -1);
        // SAFETY: the place came from `System` with this layout.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(layout.size(), -1);
        hold(size, 1);
        // SAFETY: the place came from `System` with this layout.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Returns how often this thread allocates while a function runs.
pub(crate) fn allocations(run: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    run();
    COUNT.get() - before
}

/// Returns what a function makes, and how many more bytes this thread holds after it.
pub(crate) fn held<T>(make: impl FnOnce() -> T) -> (T, i64) {
    let before = HELD.get();
    let value = make();
    (value, HELD.get() - before)
}
