//! A function that the loader calls before `main`, as it does for C++'s global objects.

#![expect(unsafe_code, reason = "a function that is called before main")]

use std::ffi::{c_char, c_int};
use std::ptr;

use super::Image;
use crate::entry;

type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: Constructor = construct;

/// Makes the linker keep the constructor: it takes only what is referred to from a library.
pub(crate) fn keep_constructor() {
    // SAFETY: a static can be read at any time.
    let _ = unsafe { ptr::read_volatile(&raw const CONSTRUCTOR) };
}

/// The loader calls it among the last: those with a priority, such as the standard library's, come
/// first.
extern "C" fn construct(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    entry::begin(|| construct_rest(count, arguments, environment));
}

/// Calls the constructors that come after ours, since a worker does not return to the loader: what they
/// register must be there when tasks run.
fn construct_rest(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    let table = Image::get().constructors();
    let mut found = false;
    for address in table.step_by(size_of::<usize>()) {
        // SAFETY: the loader's own table of constructors, which it is just walking: mapped, aligned
        // and relocated.
        let entry = unsafe { *(address as *const usize) };
        if found && entry != 0 && entry != usize::MAX {
            // SAFETY: an entry of the table that is neither of the two marks is the address of a function
            // to be called once, like this, before `main`; and the loader will not get to it.
            let constructor = unsafe { std::mem::transmute::<usize, Constructor>(entry) };
            constructor(count, arguments, environment);
        }
        found |= entry == construct as Constructor as usize;
    }
}
