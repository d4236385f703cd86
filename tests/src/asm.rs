//! A very small assembler for guests of a few instructions: 64-bit code at a fixed address.

/// A general register, by its number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the registers' own names")]
pub enum Reg {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}
use Reg::*;

/// The registers of a hypercall's arguments, in order.
pub const ARGS: [Reg; 5] = [Rdi, Rsi, Rdx, R10, R8];

/// A place in the code, bound or to be bound.
#[derive(Clone, Copy, Debug)]
pub struct Label(usize);

/// Code being written.
#[derive(Clone, Debug)]
pub struct Asm {
    base: u64,
    code: Vec<u8>,
    labels: Vec<Option<usize>>,
    /// Where a 4-byte displacement is to be filled in, and to which label.
    near: Vec<(usize, usize)>,
    /// Where an 8-byte address is.
    absolute: Vec<(usize, usize)>,
}

impl Asm {
    /// Code that will run at `base`.
    pub fn new(base: u64) -> Asm {
        Asm {
            base,
            code: Vec::new(),
            labels: Vec::new(),
            near: Vec::new(),
            absolute: Vec::new(),
        }
    }

    /// The address of the next byte.
    pub fn here(&self) -> u64 {
        self.base + self.code.len() as u64
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Asm {
        self.code.extend(bytes);
        self
    }

    /// A label to be bound later.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Binds `label` here.
    pub fn bind(&mut self, label: Label) -> &mut Asm {
        self.labels[label.0] = Some(self.code.len());
        self
    }

    /// A label bound here.
    pub fn mark(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// `mov $value,%reg`
    pub fn mov(&mut self, reg: Reg, value: u64) -> &mut Asm {
        self.mov_imm(reg);
        self.bytes(&value.to_le_bytes())
    }

    /// `mov $label,%reg`
    pub fn mov_label(&mut self, reg: Reg, label: Label) -> &mut Asm {
        self.mov_imm(reg);
        self.absolute.push((self.code.len(), label.0));
        self.bytes(&[0; 8])
    }

    fn mov_imm(&mut self, reg: Reg) {
        let n = reg as u8;
        self.bytes(&[0x48 | n >> 3, 0xb8 | n & 7]);
    }

    /// `mov %from,%to`
    pub fn copy(&mut self, to: Reg, from: Reg) -> &mut Asm {
        let (to, from) = (to as u8, from as u8);
        self.bytes(&[
            0x48 | (from >> 3) << 2 | to >> 3,
            0x89,
            0xc0 | (from & 7) << 3 | to & 7,
        ])
    }

    /// `mov offset(%base),%to`
    pub fn load(&mut self, to: Reg, base: Reg, offset: i32) -> &mut Asm {
        self.memory(0x8b, to, base, offset)
    }

    /// `mov %from,offset(%base)`
    pub fn store(&mut self, from: Reg, base: Reg, offset: i32) -> &mut Asm {
        self.memory(0x89, from, base, offset)
    }

    fn memory(&mut self, opcode: u8, reg: Reg, base: Reg, offset: i32) -> &mut Asm {
        let (reg, base) = (reg as u8, base as u8);
        self.bytes(&[
            0x48 | (reg >> 3) << 2 | base >> 3,
            opcode,
            0x80 | (reg & 7) << 3 | base & 7,
        ]);
        if base & 7 == 4 {
            self.bytes(&[0x24]);
        }
        self.bytes(&offset.to_le_bytes())
    }

    /// `jmp label`
    pub fn jmp(&mut self, label: Label) -> &mut Asm {
        self.bytes(&[0xe9]);
        self.displacement(label)
    }

    /// `jnz label`
    pub fn jnz(&mut self, label: Label) -> &mut Asm {
        self.bytes(&[0x0f, 0x85]);
        self.displacement(label)
    }

    /// `jmp *%reg`
    pub fn jmp_reg(&mut self, reg: Reg) -> &mut Asm {
        let n = reg as u8;
        self.bytes(&[0x40 | n >> 3, 0xff, 0xe0 | n & 7])
    }

    fn displacement(&mut self, label: Label) -> &mut Asm {
        self.near.push((self.code.len(), label.0));
        self.bytes(&[0; 4])
    }

    /// `dec %reg`
    pub fn dec(&mut self, reg: Reg) -> &mut Asm {
        let n = reg as u8;
        self.bytes(&[0x48 | n >> 3, 0xff, 0xc8 | n & 7])
    }

    /// A hypercall with these arguments; the registers of the others are left alone.
    pub fn hypercall(&mut self, nr: hypercalls::Nr, args: &[u64]) -> &mut Asm {
        for (&reg, &arg) in ARGS.iter().zip(args) {
            self.mov(reg, arg);
        }
        self.mov(Rax, nr as u64).syscall()
    }

    /// `syscall`
    pub fn syscall(&mut self) -> &mut Asm {
        self.bytes(&[0x0f, 0x05])
    }

    /// Powers the domain off; the argument is put after the call.
    pub fn power_off(&mut self) -> &mut Asm {
        let argument = self.label();
        self.mov_label(Rsi, argument)
            .mov(Rdi, u64::from(hypercalls::sched::SCHEDOP_SHUTDOWN));
        self.mov(Rax, hypercalls::Nr::SchedOp as u64).syscall();
        self.bytes(&[0x0f, 0x0b]).bind(argument).bytes(&[0; 4])
    }

    /// `jmp .`
    pub fn spin(&mut self) -> &mut Asm {
        self.bytes(&[0xeb, 0xfe])
    }

    /// The finished code.
    ///
    /// # Panics
    /// If a label was never bound.
    pub fn finish(&self) -> Vec<u8> {
        let mut code = self.code.clone();
        let bound = |label: usize| self.labels[label].expect("every label is bound");
        for &(at, label) in &self.near {
            let displacement = bound(label) as i32 - (at as i32 + 4);
            code[at..at + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        for &(at, label) in &self.absolute {
            let address = self.base + bound(label) as u64;
            code[at..at + 8].copy_from_slice(&address.to_le_bytes());
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let mut a = Asm::new(0x1000);
        let start = a.mark();
        let end = a.label();
        a.mov(R9, 1)
            .copy(Rsp, R15)
            .load(R12, Rsp, 8)
            .store(Rax, R13, -1)
            .dec(Rbx);
        a.jnz(start)
            .jmp(end)
            .mov_label(Rdi, end)
            .jmp_reg(R11)
            .bind(end);
        let code = a.finish();
        assert_eq!(code[..2], [0x49, 0xb9]);
        assert_eq!(code[10..13], [0x4c, 0x89, 0xfc]);
        assert_eq!(code[13..21], [0x4c, 0x8b, 0xa4, 0x24, 8, 0, 0, 0]);
        assert_eq!(code[21..28], [0x49, 0x89, 0x85, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(code[28..31], [0x48, 0xff, 0xcb]);
        assert_eq!(code[31..37], [0x0f, 0x85, 0xdb, 0xff, 0xff, 0xff]);
        assert_eq!(code[37], 0xe9);
        assert_eq!(code[52..], [0x41, 0xff, 0xe3]);
        assert_eq!(code[44..52], 0x1037u64.to_le_bytes());
    }
}
