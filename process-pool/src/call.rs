//! How a function travels to another process of the same executable.
//!
//! The pool has a constant table for each pair of types, [`VTable`], whose code knows how to decode an
//! `A`, call a `fn(A) -> R` and encode an `R`. A [`Call`] names the table and the function by their
//! distances from an anchor, a static of this library: executables are relocated as a whole, so distances
//! are the same in every process of one executable. The handshake makes sure that it is one.
//!
//! Both sides check what they are given. The pool refuses functions that are not in the executable
//! itself, since shared libraries are relocated independently. The worker checks that the table is in
//! memory of the executable that is never written, that it is one, and for these very types, and
//! that the function is in the executable's code.
//!
//! A call may name a function by a number instead, which the handshake gave to its [name](crate::names).
//! It has no address in it, so it works for any executable.

#![expect(unsafe_code, reason = "makes a function from a number")]

use std::any::TypeId;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ptr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::names;
use crate::run::{Outcome, Way, run_chunk, run_one, try_run_chunk};
use crate::sys::Image;

/// The size of a call, in bytes.
pub(crate) const CALL: usize = 24;

/// Marks a table. It is not text, so that no text matches it by accident.
const MAGIC: u64 = 0x8F0C_E55B_9D07_CA11;

/// In place of a table's distance: the call is by name. No table is at an odd distance.
const NAMED: u64 = u64::MAX;

/// From where distances are measured.
static ANCHOR: u64 = 0;

/// What a worker needs to know to call a function whose types it does not know.
#[repr(C)]
struct VTable {
    magic: u64,
    /// The id of the types that the table was made for.
    type_id: fn() -> TypeId,
    /// Calls the function with the argument in the bytes, and appends the value to the vector.
    ///
    /// The caller makes sure that the address is that of a function of the type that the table was made
    /// for.
    run: unsafe fn(usize, &[u8], &mut Vec<u8>) -> Outcome,
}

/// The number of words in a table.
const WORDS: usize = 3;
const _: () = assert!(size_of::<VTable>() == size_of::<[usize; WORDS]>());

/// A function of this executable, as other processes of the executable know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    table: u64,
    function: u64,
    types: u64,
}

/// Why a call by address is refused where workers are of another executable.
pub(crate) const NOT_BY_NAME: &str = "the workers run another executable, which knows functions only by \
     name; declare the function with `named!`, and use `submit_named`, `map_named`, `try_map_named`, \
     `initializer_named` or `preload_named`";

/// The function is in a shared library, or the pool itself is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotInExecutable;

impl fmt::Display for NotInExecutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the function is not in the program's executable but in a shared library, where a worker \
             cannot find it; call it from a function of the program",
        )
    }
}

/// How a function is applied to its argument.
trait Apply: 'static {
    /// # Safety
    ///
    /// `function` is the address of a function of the type that `Self` stands for.
    unsafe fn apply(function: usize, argument: &[u8], output: &mut Vec<u8>) -> Outcome;
}

/// To one argument.
struct One<A, R>(PhantomData<fn(A) -> R>);
/// To each item of a vector.
struct Chunk<A, R>(PhantomData<fn(A) -> R>);
/// To the items of a vector, up to the first error.
struct TryChunk<A, R, E>(PhantomData<fn(A) -> Result<R, E>>);

impl<A: DeserializeOwned + 'static, R: Serialize + 'static> Apply for One<A, R> {
    unsafe fn apply(function: usize, argument: &[u8], output: &mut Vec<u8>) -> Outcome {
        // SAFETY: passed on to the caller.
        let function = unsafe { function_at::<A, R>(function) };
        run_one(function, argument, output)
    }
}

impl<A: DeserializeOwned + 'static, R: Serialize + 'static> Apply for Chunk<A, R> {
    unsafe fn apply(function: usize, argument: &[u8], output: &mut Vec<u8>) -> Outcome {
        // SAFETY: passed on to the caller.
        let function = unsafe { function_at::<A, R>(function) };
        run_chunk(function, argument, output)
    }
}

impl<A, R, E> Apply for TryChunk<A, R, E>
where
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
    E: Serialize + 'static,
{
    unsafe fn apply(function: usize, argument: &[u8], output: &mut Vec<u8>) -> Outcome {
        // SAFETY: passed on to the caller.
        let function = unsafe { function_at::<A, Result<R, E>>(function) };
        try_run_chunk(function, argument, output)
    }
}

/// # Safety
///
/// The address is that of a function of this type, in this process.
unsafe fn function_at<A, R>(address: usize) -> fn(A) -> R {
    let function = ptr::with_exposed_provenance::<()>(address);
    // SAFETY: a function pointer is as large as a pointer on every system that this crate supports, and the
    // caller makes sure that it is valid.
    unsafe { std::mem::transmute::<*const (), fn(A) -> R>(function) }
}

impl Call {
    /// For a function that is applied to one argument.
    pub(crate) fn one<A, R>(function: fn(A) -> R) -> Result<Self, NotInExecutable>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        Self::new::<One<A, R>>(function as usize)
    }

    /// For a function that is applied to each item of a vector.
    pub(crate) fn chunk<A, R>(function: fn(A) -> R) -> Result<Self, NotInExecutable>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        Self::new::<Chunk<A, R>>(function as usize)
    }

    /// For a function that is applied to the items of a vector, up to the first error.
    pub(crate) fn try_chunk<A, R, E>(
        function: fn(A) -> Result<R, E>,
    ) -> Result<Self, NotInExecutable>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
        E: Serialize + 'static,
    {
        Self::new::<TryChunk<A, R, E>>(function as usize)
    }

    /// A call by the number of a name.
    #[cfg(feature = "named")]
    pub(crate) const fn named(number: u64, way: Way) -> Self {
        Self {
            table: NAMED,
            function: number,
            types: way as u64,
        }
    }

    /// Whether it works in any executable.
    pub(crate) const fn is_named(&self) -> bool {
        self.table == NAMED
    }

    /// `function` must be the address of a function of the type that `F` stands for.
    fn new<F: Apply>(function: usize) -> Result<Self, NotInExecutable> {
        let table: &'static VTable = const {
            &VTable {
                magic: MAGIC,
                type_id: TypeId::of::<F>,
                run: F::apply,
            }
        };
        let table = ptr::from_ref(table).addr();
        let image = Image::get();
        if !image.is_constant(table, size_of::<VTable>()) || !image.is_code(function) {
            return Err(NotInExecutable);
        }
        Ok(Self {
            table: distance(table),
            function: distance(function),
            types: fingerprint(TypeId::of::<F>()),
        })
    }

    pub(crate) fn to_bytes(self) -> [u8; CALL] {
        let mut bytes = [0; CALL];
        for (place, number) in
            bytes
                .chunks_exact_mut(8)
                .zip([self.table, self.function, self.types])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; CALL]) -> Self {
        let mut numbers = bytes.chunks_exact(8).map(|chunk| {
            chunk
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | u64::from(byte))
        });
        let mut next = || numbers.next().unwrap_or(0);
        Self {
            table: next(),
            function: next(),
            types: next(),
        }
    }

    /// Calls the function with the argument in these bytes, and appends its value to `output`.
    ///
    /// # Errors
    ///
    /// Text that says why the call does not belong to this executable.
    pub(crate) fn run(self, argument: &[u8], output: &mut Vec<u8>) -> Result<Outcome, String> {
        if self.is_named() {
            let way = match self.types {
                it if it == Way::One as u64 => Way::One,
                it if it == Way::Chunk as u64 => Way::Chunk,
                it if it == Way::TryChunk as u64 => Way::TryChunk,
                _ => return Err("the task is to be run in an unknown way".to_owned()),
            };
            return names::run(self.function, way, argument, output);
        }
        if names::is_elsewhere() {
            return Err(NOT_BY_NAME.to_owned());
        }
        let (table, function) = (address(self.table), address(self.function));
        let image = Image::get();
        let strange = |what| {
            Err(format!(
                "the task names {what} that this worker does not have; was it started from another \
                 executable?"
            ))
        };
        if !image.is_constant(table, size_of::<VTable>()) || table % align_of::<VTable>() != 0 {
            return strange("a table");
        }
        let words = ptr::with_exposed_provenance::<[usize; WORDS]>(table);
        // SAFETY: mapped, readable, aligned, never written; any bytes are a valid number.
        if unsafe { words.cast::<u64>().read() } != MAGIC {
            return strange("a table");
        }
        // SAFETY: as above.
        let [_, type_id, run] = unsafe { words.read() };
        if !image.is_code(type_id) || !image.is_code(run) {
            return strange("a table");
        }
        // SAFETY: mapped and aligned as above, and never written. With the magic number, and functions where
        // functions belong, it is a `VTable`: the handshake says that the pool is a process of the same
        // executable, and it sent the distance of one.
        let table = unsafe { &*words.cast::<VTable>() };
        if fingerprint((table.type_id)()) != self.types || !image.is_code(function) {
            return strange("a function");
        }
        // SAFETY: `Call::new` got a function and a table of the same type and sent their distances, which are
        // the same here, since the handshake was with the same executable; calls are made in no other way.
        Ok(unsafe { (table.run)(function, argument, output) })
    }
}

/// From the anchor to an address, in this process.
fn distance(address: usize) -> u64 {
    address.wrapping_sub((&raw const ANCHOR).addr()) as u64
}

/// The address in this process. The inverse of [`distance`].
fn address(distance: u64) -> usize {
    (&raw const ANCHOR).addr().wrapping_add(distance as usize)
}

/// Whether this library is a part of the executable itself.
pub(crate) fn is_in_executable() -> bool {
    Image::get().is_constant((&raw const ANCHOR).addr(), size_of::<u64>())
}

/// A hash that is the same in every process of an executable.
fn fingerprint(type_id: TypeId) -> u64 {
    let mut hasher = DefaultHasher::new();
    type_id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    fn double(n: u32) -> u32 {
        2 * n
    }

    fn argument<T: Serialize>(value: T) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_call_finds_its_function_again() {
        let call = Call::one(double).unwrap();
        let call = Call::from_bytes(&call.to_bytes());
        let mut output = vec![1, 2, 3];
        assert_eq!(call.run(&argument(21_u32), &mut output), Ok(Outcome::Done));
        assert_eq!(decode::<u32>(&output[3..]), Ok(42));
    }

    #[test]
    fn a_closure_without_captures_is_a_function() {
        let call = Call::one(|text: String| text.len()).unwrap();
        let mut output = Vec::new();
        assert_eq!(call.run(&argument("four"), &mut output), Ok(Outcome::Done));
        assert_eq!(decode::<usize>(&output), Ok(4));
    }

    #[test]
    fn a_call_that_is_none_is_an_error() {
        let good = Call::one(double).unwrap();
        let mut output = Vec::new();
        let mut refuses = |call: Call| call.run(&argument(1_u32), &mut output).is_err();
        assert!(refuses(Call { table: 0, ..good }));
        assert!(refuses(Call {
            table: good.table + 1,
            ..good
        }));
        assert!(refuses(Call {
            table: good.function,
            ..good
        }));
        assert!(refuses(Call {
            table: u64::MAX / 2,
            ..good
        }));
        assert!(refuses(Call {
            function: good.table,
            ..good
        }));
        assert!(refuses(Call {
            function: 1 << 60,
            ..good
        }));
        let other = Call::one(|n: i32| n).unwrap();
        assert!(refuses(Call {
            types: other.types,
            ..good
        }));
        assert!(output.is_empty());
    }

    #[test]
    fn random_calls_are_errors() {
        if std::env::var_os("ASAN_OPTIONS").is_some() {
            // Its red zones between constants are constant, too, but must not be read.
            return;
        }
        let good = Call::one(double).unwrap();
        let mut seed = 1_u64;
        for _ in 0..100_000 {
            // Knuth's multiplier, as in MMIX.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let near = (seed >> 44).wrapping_sub(1 << 19);
            let call = Call {
                table: good.table.wrapping_add(near),
                ..good
            };
            if call.table != good.table {
                assert!(call.run(&[], &mut Vec::new()).is_err());
            }
        }
    }
}
