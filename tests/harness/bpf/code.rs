//! Instructions (RFC 9669), and the object file that brings them to a loader.

use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Relocation, RelocationFlags, Symbol, SymbolSection},
};

use super::FRAME_MAX;

/// The map with the frame to restore: an array of one element.
pub(super) const FRAME: &str = "FRAME";
/// The map with the program to go on as: an array of one program.
pub(super) const NEXT: &str = "NEXT";

/// `struct bpf_map_def` of these maps: type, octets of a key, octets of a value, elements, flags.
const MAPS: [(&str, [u32; 5]); 2] = [
    (FRAME, [2, 4, FRAME_MAX as u32, 1, 0]),
    (NEXT, [3, 4, 4, 1, 0]),
];

/// R_BPF_64_64: the address of a map in a load of 64 bits.
const MAP_ADDRESS: u32 = 1;

/// A register; R1 to R5 are arguments, R0 what comes back, R10 the end of the stack.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Register {
    R0 = 0,
    R1 = 1,
    R2 = 2,
    R3 = 3,
    R4 = 4,
    R6 = 6,
    R7 = 7,
    R8 = 8,
    R10 = 10,
}

use Register::R0;

/// A program as it is written.
#[derive(Debug, Default)]
pub(super) struct Code {
    octets: Vec<u8>,
    /// Where the addresses of which maps go.
    maps: Vec<(u64, &'static str)>,
}

impl Code {
    fn push(
        &mut self,
        operation: u8,
        to: Register,
        from: Register,
        offset: i16,
        value: i32,
    ) -> &mut Self {
        self.octets
            .extend([operation, (from as u8) << 4 | to as u8]);
        self.octets.extend(offset.to_le_bytes());
        self.octets.extend(value.to_le_bytes());
        self
    }

    /// `to = value`
    pub(super) fn set(&mut self, to: Register, value: i32) -> &mut Self {
        self.push(0xb7, to, R0, 0, value)
    }

    /// `to = from`
    pub(super) fn copy(&mut self, to: Register, from: Register) -> &mut Self {
        self.push(0xbf, to, from, 0, 0)
    }

    /// `to += value`
    pub(super) fn add(&mut self, to: Register, value: i32) -> &mut Self {
        self.push(0x07, to, R0, 0, value)
    }

    /// `to -= from`
    pub(super) fn subtract(&mut self, to: Register, from: Register) -> &mut Self {
        self.push(0x1f, to, from, 0, 0)
    }

    /// `to = *(u32 *)(from + offset)`
    pub(super) fn load_word(&mut self, to: Register, from: Register, offset: i16) -> &mut Self {
        self.push(0x61, to, from, offset, 0)
    }

    /// `*(u32 *)(to + offset) = value`
    pub(super) fn store_word(&mut self, to: Register, offset: i16, value: i32) -> &mut Self {
        self.push(0x62, to, R0, offset, value)
    }

    /// `to = map`, which takes the room of two instructions.
    pub(super) fn load_map(&mut self, to: Register, map: &'static str) -> &mut Self {
        self.maps.push((self.octets.len() as u64, map));
        self.push(0x18, to, R0, 0, 0).push(0, R0, R0, 0, 0)
    }

    /// Leaves out so many instructions if the register is zero.
    pub(super) fn skip_if_zero(&mut self, register: Register, instructions: i16) -> &mut Self {
        self.push(0x15, register, R0, instructions, 0)
    }

    /// Calls a helper.
    pub(super) fn call(&mut self, helper: i32) -> &mut Self {
        self.push(0x85, R0, R0, 0, helper)
    }

    /// Returns R0.
    pub(super) fn exit(&mut self) -> &mut Self {
        self.push(0x95, R0, R0, 0, 0)
    }

    /// The object file of an XDP program with this name, and with the maps that it uses.
    pub(super) fn object(&self, name: &str) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
        let license = object.add_section(vec![], b"license".to_vec(), SectionKind::Data);
        object.append_section_data(license, b"Dual MIT/GPL\0", 1);
        let text = object.add_section(vec![], b"xdp".to_vec(), SectionKind::Text);
        object.append_section_data(text, &self.octets, 8);
        object.add_symbol(symbol(name, SymbolKind::Text, text, 0, self.octets.len()));
        if !self.maps.is_empty() {
            let maps = object.add_section(vec![], b"maps".to_vec(), SectionKind::Data);
            for (name, definition) in MAPS {
                let octets: Vec<u8> = definition.into_iter().flat_map(u32::to_le_bytes).collect();
                let offset = object.append_section_data(maps, &octets, 4);
                let map = symbol(name, SymbolKind::Data, maps, offset, octets.len());
                let map = object.add_symbol(map);
                for (offset, _) in self.maps.iter().filter(|(_, used)| *used == name) {
                    let relocation = Relocation {
                        offset: *offset,
                        symbol: map,
                        addend: 0,
                        flags: RelocationFlags::Elf {
                            r_type: MAP_ADDRESS,
                        },
                    };
                    object.add_relocation(text, relocation).unwrap();
                }
            }
        }
        object.write().unwrap()
    }
}

fn symbol(
    name: &str,
    kind: SymbolKind,
    section: object::write::SectionId,
    value: u64,
    size: usize,
) -> Symbol {
    Symbol {
        name: name.into(),
        value,
        size: size as u64,
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    }
}
