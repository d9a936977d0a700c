//! The memory of this process that came from the executable: which of it is code, and which is constant.
//!
//! Two processes of one executable have it at different addresses, but all of it is moved by the same
//! distance.

#![expect(unsafe_code, reason = "the loader's tables are behind raw pointers")]

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::slice;
use std::sync::OnceLock;

/// The executable, as the loader mapped it.
#[derive(Debug, Default)]
pub(crate) struct Image {
    code: Vec<Range<usize>>,
    constants: Vec<Range<usize>>,
    /// The table of constructors.
    constructors: Range<usize>,
    build: u64,
}

impl Image {
    /// The image of this process.
    pub(crate) fn get() -> &'static Self {
        static IMAGE: OnceLock<Image> = OnceLock::new();
        IMAGE.get_or_init(|| {
            let mut image = Self::default();
            // SAFETY: `first` is only called within this call, with the pointer given here, which is
            // that of an `Image` that nothing else uses meanwhile.
            unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut image).cast()) };
            image
        })
    }

    /// Whether an instruction of the executable may be at this address.
    pub(crate) fn is_code(&self, address: usize) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }

    /// Whether this many bytes from this address on are mapped, readable, and never written again.
    pub(crate) fn is_constant(&self, address: usize, size: usize) -> bool {
        let holds = |range: &Range<usize>| {
            range.contains(&address) && range.end.saturating_sub(address) >= size
        };
        self.constants.iter().any(holds)
    }

    /// Where the addresses of the executable's constructors are, if the loader says.
    pub(crate) fn constructors(&self) -> Range<usize> {
        self.constructors.clone()
    }

    /// A number that differs between different executables: a hash of their segments' sizes and of
    /// their notes, one of which is the linker's build id.
    pub(crate) const fn build(&self) -> u64 {
        self.build
    }

    fn mix(&mut self, bytes: &[u8]) {
        // FNV-1a.
        for &byte in bytes {
            self.build = (self.build ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    fn add(&mut self, base: usize, segment: &libc::Elf64_Phdr) {
        let start = base.wrapping_add(segment.p_vaddr as usize);
        let range = start..start.wrapping_add(segment.p_memsz as usize);
        let (readable, writable, executable) = (
            segment.p_flags & libc::PF_R != 0,
            segment.p_flags & libc::PF_W != 0,
            segment.p_flags & libc::PF_X != 0,
        );
        self.mix(&segment.p_vaddr.to_le_bytes());
        self.mix(&segment.p_memsz.to_le_bytes());
        match segment.p_type {
            libc::PT_LOAD if executable && !writable => {
                self.code.push(range.clone());
                if readable {
                    // Linkers may put constants among the code.
                    self.constants.push(range);
                }
            }
            libc::PT_LOAD if readable && !writable => self.constants.push(range),
            libc::PT_GNU_RELRO => self.constants.push(range),
            libc::PT_NOTE if readable => {
                // SAFETY: the loader mapped the notes of the executable, readable and for as long
                // as the process runs; nobody writes to them.
                let notes = unsafe { slice::from_raw_parts(start as *const u8, range.len()) };
                self.mix(notes);
            }
            libc::PT_DYNAMIC => self.constructors = constructors(base, start, range.len()),
            _ => {}
        }
    }
}

/// Finds the table of constructors in the dynamic section.
fn constructors(base: usize, section: usize, size: usize) -> Range<usize> {
    /// From the ELF standard: the end of the section, and the table's address and size in bytes.
    const DT_NULL: u64 = 0;
    const DT_INIT_ARRAY: u64 = 25;
    const DT_INIT_ARRAYSZ: u64 = 27;
    let entries = size / size_of::<[u64; 2]>();
    // SAFETY: the loader mapped the executable's dynamic section, which consists of pairs of words,
    // and finished writing to it before it runs any constructor.
    let entries = unsafe { slice::from_raw_parts(section as *const [u64; 2], entries) };
    let (mut start, mut bytes) = (None, 0);
    for &[tag, value] in entries {
        match tag {
            DT_NULL => break,
            DT_INIT_ARRAY => start = Some(base.wrapping_add(value as usize)),
            DT_INIT_ARRAYSZ => bytes = value as usize,
            _ => {}
        }
    }
    match start {
        Some(start) => start..start.wrapping_add(bytes),
        None => 0..0,
    }
}

/// Reads the first image, which is the executable, and stops.
///
/// # Safety
///
/// `info` is what the loader gives to this callback, and `image` points to a valid `Image` that nothing
/// else uses.
unsafe extern "C" fn first(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    image: *mut c_void,
) -> c_int {
    // SAFETY: the caller makes sure that it is valid and unused.
    let image = unsafe { &mut *image.cast::<Image>() };
    // SAFETY: the loader keeps it valid during the callback.
    let info = unsafe { &*info };
    image.build = 0xCBF2_9CE4_8422_2325;
    if !info.dlpi_phdr.is_null() {
        let count = usize::from(info.dlpi_phnum);
        // SAFETY: not null, so it is the table of this many program headers, mapped with the image.
        let segments = unsafe { slice::from_raw_parts(info.dlpi_phdr, count) };
        for segment in segments {
            image.add(info.dlpi_addr as usize, segment);
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    static CONSTANT: fn() = function;
    static VARIABLE: OnceLock<u64> = OnceLock::new();

    fn function() {}

    #[test]
    fn knows_code_from_constants_and_from_what_changes() {
        let image = Image::get();
        let address = function as fn() as usize;
        assert!(image.is_code(address));

        let constant = (&raw const CONSTANT) as usize;
        assert!(!image.is_code(constant));
        assert!(image.is_constant(constant, size_of::<fn()>()));
        assert!(!image.is_constant(constant, usize::MAX));

        let variable = (&raw const VARIABLE) as usize;
        assert!(!image.is_constant(variable, 1));
        let local = 1;
        assert!(!image.is_constant((&raw const local) as usize, 1));
        assert!(!image.is_constant(0, 1));
        // A function of another image.
        assert!(
            !image.is_code(libc::getpid as *const () as usize)
                || cfg!(target_feature = "crt-static")
        );
    }
}
