//! The first pass over code: each function is decoded once for what it calls, takes the address of, and asks of the kernel.

use super::facts::Via;
use super::parts::range_of;
use super::places::{Goes, Places, vsyscall};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// A start that is known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The first byte.
    pub at: u64,
    /// Bytes; 0 where they are not known.
    pub size: u64,
    /// A name of it.
    pub name: Option<&'a str>,
}

/// What one function does.
#[derive(Clone, Debug, Default)]
pub struct Swept<'a> {
    /// The first byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// A name of it.
    pub name: Option<&'a str>,
    /// Addresses of code that it calls or jumps to, or runs into; sorted.
    pub calls: Vec<u64>,
    /// Addresses of code that it takes.
    pub takes: Vec<u64>,
    /// Imports that it calls or takes the address of.
    pub imports: Vec<u32>,
    /// Instructions that call the kernel.
    pub raw: Vec<(u64, Via)>,
    /// Loads of vsyscall addresses from data: instruction and place.
    pub from_data: Vec<(u64, u64)>,
    /// It has addresses of the vsyscall page as constants.
    pub has_vsyscalls: bool,
    /// It has bytes that are no instruction.
    pub is_damaged: bool,
}

/// The bits of the decoder.
pub fn bitness(places: &Places<'_, '_>) -> u32 {
    if places.parts.is_64 { 64 } else { 32 }
}

/// Decodes the function that begins at `start`, at most up to `limit`. Where `is_open`, its end is not known: it is behind the first
/// instruction from which nothing goes on and that no branch leads over.
pub fn sweep<'a>(places: &Places<'_, 'a>, start: u64, limit: u64, is_open: bool) -> Swept<'a> {
    let mut swept = Swept { start, end: start, ..Swept::default() };
    let Some(bytes) = places.code_at(start) else { return swept };
    let size = usize::try_from(limit.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    let bytes = bytes.get(..size).unwrap_or(&[]);
    let limit = start + size as u64;
    let mut decoder = Decoder::with_ip(bitness(places), bytes, start, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut furthest = start;
    let mut runs_on = false;
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        swept.end = instruction.next_ip();
        if instruction.is_invalid() {
            swept.is_damaged = true;
            runs_on = false;
            if is_open {
                break;
            }
            continue;
        }
        look(places, &instruction, limit, &mut swept);
        let flow = instruction.flow_control();
        if !runs_on && furthest < instruction.ip() && instruction.ip() > start && is_padding(&instruction) {
            continue;
        }
        runs_on = !matches!(
            flow,
            FlowControl::Return
                | FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::Exception
        ) && instruction.code() != Code::Hlt;
        if matches!(flow, FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch) {
            let target = instruction.near_branch_target();
            if (start..limit).contains(&target) {
                furthest = furthest.max(target);
            }
        }
        if is_open && !runs_on && furthest < swept.end {
            break;
        }
    }
    // A call at the very end does not return; what else has no end runs into what follows.
    if runs_on && instruction.flow_control() != FlowControl::Call {
        swept.calls.push(swept.end);
    }
    let (first, last) = (swept.start, swept.end);
    for list in [&mut swept.calls, &mut swept.takes] {
        list.retain(|&target| !(first..last).contains(&target));
        list.sort_unstable();
        list.dedup();
    }
    swept.imports.sort_unstable();
    swept.imports.dedup();
    swept
}

/// What stands between functions and blocks so that the next begins at a round address.
pub fn is_padding(instruction: &Instruction) -> bool {
    let is_lea_of_itself = instruction.mnemonic() == Mnemonic::Lea
        && instruction.memory_base() == instruction.op0_register()
        && instruction.memory_displacement64() == 0;
    is_lea_of_itself || matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
}

/// What one instruction adds.
fn look(places: &Places<'_, '_>, instruction: &Instruction, limit: u64, swept: &mut Swept<'_>) {
    match instruction.code() {
        Code::Syscall => return swept.raw.push((instruction.ip(), Via::Syscall)),
        Code::Sysenter => return swept.raw.push((instruction.ip(), Via::Sysenter)),
        Code::Int_imm8 if instruction.immediate8() == 0x80 => {
            return swept.raw.push((instruction.ip(), Via::Int80));
        }
        _ => {}
    }
    let first = instruction.op0_kind();
    if matches!(first, OpKind::NearBranch64 | OpKind::NearBranch32) {
        let target = instruction.near_branch_target();
        let is_inside = (swept.start..limit).contains(&target) && instruction.mnemonic() != Mnemonic::Call;
        if !is_inside && !(swept.start..swept.end).contains(&target) {
            match places.stub(target) {
                Some(goes) => go(swept, goes),
                None if range_of(&places.code, target).is_some() => swept.calls.push(target),
                None => {}
            }
        }
        return;
    }
    for operand in 0..instruction.op_count() {
        match instruction.op_kind(operand) {
            OpKind::Memory => memory(places, instruction, swept),
            kind @ (OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64) => {
                let value = instruction.immediate(operand);
                if kind != OpKind::Immediate32 && vsyscall(value).is_some() {
                    swept.has_vsyscalls = true;
                } else if places.is_fixed && range_of(&places.code, value).is_some() {
                    swept.takes.push(value);
                }
            }
            _ => {}
        }
    }
}

fn memory(places: &Places<'_, '_>, instruction: &Instruction, swept: &mut Swept<'_>) {
    if is_kernel_vsyscall(places, instruction) {
        return swept.raw.push((instruction.ip(), Via::KernelVsyscall));
    }
    let Some(place) = place(places, instruction) else { return };
    if let Some(goes) = places.slot(place) {
        return go(swept, goes);
    }
    if places.vsyscalls.contains_key(&place) {
        return swept.from_data.push((instruction.ip(), place));
    }
    if matches!(instruction.mnemonic(), Mnemonic::Call | Mnemonic::Jmp) {
        if let Some(goes) = places.pointer(place) {
            go(swept, goes);
        }
    } else if range_of(&places.code, place).is_some() {
        swept.takes.push(place);
    }
}

fn go(swept: &mut Swept<'_>, goes: Goes) {
    match goes {
        Goes::Own(address) => swept.calls.push(address),
        Goes::Import(import) => swept.imports.push(import),
    }
}

/// `call *%gs:0x10`: i386's way into the kernel.
pub fn is_kernel_vsyscall(places: &Places<'_, '_>, instruction: &Instruction) -> bool {
    !places.parts.is_64
        && instruction.mnemonic() == Mnemonic::Call
        && instruction.memory_segment() == Register::GS
        && instruction.memory_base() == Register::None
        && instruction.memory_displacement32() == 0x10
}

/// The address that a memory operand means, where the instruction alone says it.
pub fn place(places: &Places<'_, '_>, instruction: &Instruction) -> Option<u64> {
    if instruction.is_ip_rel_memory_operand() {
        return Some(instruction.ip_rel_memory_address());
    }
    if instruction.memory_displ_size() == 0 || instruction.segment_prefix() != Register::None {
        return None;
    }
    let distance = instruction.memory_displacement64();
    match instruction.memory_base() {
        // With an index: the first of an array.
        Register::None => Some(distance),
        Register::EBX => places.by_got(distance),
        // Near it are local variables.
        Register::EBP if (distance as u32 as i32) < -0x1000 => places.by_got(distance),
        Register::EAX | Register::ECX | Register::EDX | Register::ESI | Register::EDI
            if (distance as u32 as i32) < 0 =>
        {
            places.by_got(distance)
        }
        _ => None,
    }
}
