//! What one instruction makes of what is known.

use super::value::{State, Value};
use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

/// The calling convention around a function.
#[derive(Clone, Copy, Debug)]
pub struct Convention {
    /// Bytes of a word: 8 or 4.
    pub word: i64,
    /// Go's: a call keeps no register.
    pub is_go: bool,
}

/// Registers that a call of C's convention keeps: rbx, rsp, rbp and, of 64 bits, r12 to r15; of 32 bits esi and edi.
const KEPT_64: [u8; 7] = [3, 4, 5, 12, 13, 14, 15];
const KEPT_32: [u8; 5] = [3, 4, 5, 6, 7];

/// A general register's number and bits; none for ah to bh and others.
pub fn register(register: Register) -> Option<(u8, u8)> {
    let full = register.full_register();
    if !register.is_gpr() || matches!(register, Register::AH | Register::BH | Register::CH | Register::DH) {
        return None;
    }
    Some((full.number() as u8, (register.size() * 8) as u8))
}

/// Carries an instruction out on a state. `factory` tells what the instructions change that are not known here.
pub fn execute(
    state: &mut State,
    instruction: &Instruction,
    convention: Convention,
    factory: &mut InstructionInfoFactory,
) {
    match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movzx => {
            move_(state, instruction, convention, |value, bits| value.cut(bits))
        }
        Mnemonic::Movsx | Mnemonic::Movsxd => {
            move_(state, instruction, convention, |value, bits| value.sign_extended(bits));
        }
        Mnemonic::Lea => {
            let value = address(state, instruction).map_or(Value::Any, Value::Stack);
            let value = if instruction.memory_base() == Register::None
                && instruction.memory_index() == Register::None
            {
                Value::constant(instruction.memory_displacement64())
            } else if let (Some((base, _)), Register::None) =
                (register(instruction.memory_base()), instruction.memory_index())
                && let constants @ Value::Constants(_) = state.get(base)
            {
                constants.map(|value| value.wrapping_add(instruction.memory_displacement64()))
            } else {
                value
            };
            write(state, instruction, convention, value);
        }
        Mnemonic::Xor | Mnemonic::Sub if same_registers(instruction) => {
            write(state, instruction, convention, Value::constant(0));
        }
        Mnemonic::Add => arithmetic(state, instruction, convention, |a, b| a.wrapping_add(b)),
        Mnemonic::Sub => arithmetic(state, instruction, convention, |a, b| a.wrapping_sub(b)),
        Mnemonic::Or => arithmetic(state, instruction, convention, |a, b| a | b),
        Mnemonic::And => arithmetic(state, instruction, convention, |a, b| a & b),
        Mnemonic::Xor => arithmetic(state, instruction, convention, |a, b| a ^ b),
        Mnemonic::Inc => arithmetic(state, instruction, convention, |a, _| a.wrapping_add(1)),
        Mnemonic::Dec => arithmetic(state, instruction, convention, |a, _| a.wrapping_sub(1)),
        Mnemonic::Push => {
            let value = operand(state, instruction, 0);
            let size = i64::from(-instruction.stack_pointer_increment());
            move_stack(state, size.wrapping_neg());
            if let Value::Stack(sp) = state.get(State::SP) {
                state.store(sp, value);
            }
        }
        Mnemonic::Pop => {
            let value = match state.get(State::SP) {
                Value::Stack(sp) => state.load(sp),
                _ => Value::Any,
            };
            move_stack(state, i64::from(instruction.stack_pointer_increment()));
            write(state, instruction, convention, value);
        }
        Mnemonic::Leave => {
            let frame = state.get(5);
            let saved = match frame {
                Value::Stack(at) => state.load(at),
                _ => Value::Any,
            };
            state.set(State::SP, frame);
            move_stack(state, convention.word);
            state.set(5, saved);
        }
        Mnemonic::Xchg
            if instruction.op0_kind() == OpKind::Register && instruction.op1_kind() == OpKind::Register =>
        {
            match (register(instruction.op0_register()), register(instruction.op1_register())) {
                (Some((a, 32 | 64)), Some((b, bits))) => {
                    let (x, y) = (state.get(a).cut(bits), state.get(b).cut(bits));
                    state.set(a, y);
                    state.set(b, x);
                }
                _ => forget(state, instruction, factory),
            }
        }
        Mnemonic::Call => call(state, convention),
        // The kernel gives its answer and keeps the rest but for rcx and r11.
        Mnemonic::Syscall | Mnemonic::Sysenter => {
            for clobbered in [0, 1, 11] {
                state.set(clobbered, Value::Any);
            }
        }
        Mnemonic::Int => state.set(0, Value::Any),
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Nop | Mnemonic::Endbr64 | Mnemonic::Endbr32 => {}
        mnemonic if is_cmov(mnemonic) => {
            let old = operand(state, instruction, 0);
            let new = operand(state, instruction, 1);
            write(state, instruction, convention, old.join(new));
        }
        _ => forget(state, instruction, factory),
    }
}

/// What an operand has.
fn operand(state: &State, instruction: &Instruction, index: u32) -> Value {
    match instruction.op_kind(index) {
        OpKind::Register => match register(instruction.op_register(index)) {
            Some((number, bits)) => state.get(number).cut(bits),
            None => Value::Any,
        },
        OpKind::Memory => match address(state, instruction) {
            Some(at) => state.load(at).cut((instruction.memory_size().size() * 8).min(64) as u8),
            None => Value::Any,
        },
        kind if is_immediate(kind) => Value::constant(instruction.immediate(index)),
        _ => Value::Any,
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate8_2nd
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
}

/// Where on the stack a memory operand is.
fn address(state: &State, instruction: &Instruction) -> Option<i64> {
    if instruction.memory_index() != Register::None || instruction.segment_prefix() != Register::None {
        return None;
    }
    let (base, bits) = register(instruction.memory_base())?;
    let Value::Stack(at) = state.get(base) else { return None };
    let distance = instruction.memory_displacement64() as i64;
    Some(at.wrapping_add(if bits == 32 { i64::from(distance as i32) } else { distance }))
}

/// Writes the first operand.
fn write(state: &mut State, instruction: &Instruction, convention: Convention, value: Value) {
    match instruction.op0_kind() {
        OpKind::Register => match register(instruction.op0_register()) {
            Some((number, bits @ (32 | 64))) => state.set(number, value.cut(bits)),
            Some((number, bits)) => state.set(number, state.get(number).with_low(bits, value)),
            None => {
                // ah to dh: dietlibc gives a number in al, and its common end makes ah zero.
                let full = instruction.op0_register().full_register();
                if full.is_gpr64() {
                    let number = full.number() as u8;
                    let old = state.get(number);
                    let new = match (old, value.as_constant().map(|byte| byte & 0xff)) {
                        (Value::Constants(_), Some(byte)) => old.map(|value| value & !0xff00 | byte << 8),
                        (Value::Low(8, low), Some(byte)) => Value::Low(16, low & 0xff | (byte as u16) << 8),
                        (Value::Entry(parameter, _), Some(0)) => Value::Entry(parameter, 8),
                        _ => Value::Any,
                    };
                    state.set(number, new);
                }
            }
        },
        OpKind::Memory => {
            if let Some(at) = address(state, instruction) {
                let bytes = instruction.memory_size().size() as i64;
                // A smaller write into a word: the rest of it is not known to be zero, but a call's number is 32 bits.
                let value = if bytes >= 4 { value } else { Value::Any };
                state.store(at, value);
                if bytes > convention.word {
                    state.store(at.wrapping_add(convention.word), Value::Any);
                }
            }
        }
        _ => {}
    }
}

fn move_(
    state: &mut State,
    instruction: &Instruction,
    convention: Convention,
    change: impl Fn(Value, u8) -> Value,
) {
    let bits = match instruction.op1_kind() {
        OpKind::Register => register(instruction.op1_register()).map_or(0, |(_, bits)| bits),
        OpKind::Memory => (instruction.memory_size().size() * 8).min(64) as u8,
        _ => 64,
    };
    let value = operand(state, instruction, 1);
    let value = if bits == 0 { Value::Any } else { change(value, bits) };
    write(state, instruction, convention, value);
}

fn same_registers(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}

fn arithmetic(
    state: &mut State,
    instruction: &Instruction,
    convention: Convention,
    change: impl Fn(u64, u64) -> u64,
) {
    let old = operand(state, instruction, 0);
    let by = if instruction.op_count() > 1 { operand(state, instruction, 1).as_constant() } else { Some(0) };
    let value = match (old, by) {
        (Value::Constants(_), Some(by)) => old.map(|value| change(value, by)),
        // Of the stack pointer only sums are known, and `and` that aligns it loses it.
        (Value::Stack(at), Some(by)) if matches!(instruction.mnemonic(), Mnemonic::Add | Mnemonic::Sub) => {
            Value::Stack(change(at as u64, by) as i64)
        }
        _ => Value::Any,
    };
    write(state, instruction, convention, value);
}

fn move_stack(state: &mut State, by: i64) {
    let moved = match state.get(State::SP) {
        Value::Stack(at) => Value::Stack(at.wrapping_add(by)),
        other => other,
    };
    state.set(State::SP, moved);
}

fn call(state: &mut State, convention: Convention) {
    let kept: &[u8] = match (convention.is_go, convention.word) {
        (true, _) => &[State::SP],
        (false, 8) => &KEPT_64,
        _ => &KEPT_32,
    };
    for number in (0..16).filter(|number| !kept.contains(number)) {
        state.set(number, Value::Any);
    }
    // Arguments on the stack are the callee's.
    if convention.word == 4
        && let Value::Stack(sp) = state.get(State::SP)
    {
        for slot in 0..8 {
            state.store(sp.wrapping_add(slot * 4), Value::Any);
        }
    }
}

fn is_cmov(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Cmova
            | M::Cmovae
            | M::Cmovb
            | M::Cmovbe
            | M::Cmove
            | M::Cmovg
            | M::Cmovge
            | M::Cmovl
            | M::Cmovle
            | M::Cmovne
            | M::Cmovno
            | M::Cmovnp
            | M::Cmovns
            | M::Cmovo
            | M::Cmovp
            | M::Cmovs
    )
}

/// What any other instruction writes is not known behind it.
fn forget(state: &mut State, instruction: &Instruction, factory: &mut InstructionInfoFactory) {
    let at = address(state, instruction);
    let info = factory.info(instruction);
    for used in info.used_registers() {
        let is_written = matches!(
            used.access(),
            OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
        );
        let full = used.register().full_register();
        if is_written && full.is_gpr64() {
            state.set(full.number() as u8, Value::Any);
        }
    }
    let writes_memory = info.used_memory().iter().any(|memory| {
        matches!(
            memory.access(),
            OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
        )
    });
    if writes_memory && let Some(at) = at {
        // Up to two words of a vector.
        for word in 0..2 {
            state.store(at.wrapping_add(word * 8), Value::Any);
        }
    }
}
