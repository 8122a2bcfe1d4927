//! The second pass, over functions that call the kernel or call who does: with which number. Constants are followed
//! forward through the function, whichever way it takes.

use super::execute::{Convention, execute, register};
use super::facts::Via;
use super::places::{Goes, Places, vsyscall};
use super::sweep::{bitness, is_kernel_vsyscall, place};
use super::value::{Parameter, State, Value};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind,
};
use std::collections::{BTreeMap, VecDeque};

/// Instructions of one function that are looked at: none written by people or compilers has more with calls in it.
const MOST_INSTRUCTIONS: usize = 100_000;

/// Visits of a block before what is known there is given up.
const MOST_VISITS: u32 = 24;

/// A function or an import to which the caller gives the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wrapper {
    /// Where the number is given.
    pub parameter: Parameter,
    /// Its bits that count.
    pub bits: u8,
    /// How the call is made in the end.
    pub via: Via,
}

/// Something found in a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The instruction.
    pub address: u64,
    /// How the call is made.
    pub via: Via,
    /// With which number; none for a vsyscall address that is only mentioned.
    pub value: Value,
}

/// Who takes numbers, by where calls lead.
pub type Wrappers = BTreeMap<Goes, Vec<Wrapper>>;

struct Block {
    /// Range of instructions.
    first: usize,
    end: usize,
    /// Blocks that follow.
    next: Vec<usize>,
}

/// Looks at one function's instructions, `start` to `end`.
pub fn flow(
    places: &mut Places<'_, '_>,
    start: u64,
    end: u64,
    convention: Convention,
    wrappers: &Wrappers,
) -> Vec<Found> {
    let Some(bytes) = places.code_at(start) else { return Vec::new() };
    let size = usize::try_from(end - start).unwrap_or(usize::MAX).min(bytes.len());
    let bytes = bytes.get(..size).unwrap_or(&[]);
    let decoder = Decoder::with_ip(bitness(places), bytes, start, DecoderOptions::NONE);
    let instructions: Vec<Instruction> = decoder.into_iter().take(MOST_INSTRUCTIONS).collect();
    let blocks = blocks(&instructions);
    let mut factory = InstructionInfoFactory::new();
    let mut states: Vec<Option<State>> = blocks.iter().map(|_| None).collect();
    let mut visits = vec![0u32; blocks.len()];
    let mut queue = VecDeque::new();
    if let Some(first) = states.first_mut() {
        *first = Some(State::entry());
        queue.push_back(0);
    }
    let mut unreached = 0;
    loop {
        while let Some(index) = queue.pop_front() {
            let Some((block, Some(state))) = blocks.get(index).zip(states.get(index)) else { continue };
            let mut state = state.clone();
            for instruction in instructions.get(block.first..block.end).unwrap_or(&[]) {
                execute(&mut state, instruction, convention, &mut factory);
            }
            for &next in &block.next {
                let Some((there, visits)) = states.get_mut(next).zip(visits.get_mut(next)) else { continue };
                let changed = match there {
                    None => {
                        *there = Some(state.clone());
                        true
                    }
                    Some(_) if *visits > MOST_VISITS => false,
                    Some(there) => {
                        *visits += 1;
                        if *visits > MOST_VISITS {
                            *there = State::unknown();
                            true
                        } else {
                            there.join(&state)
                        }
                    }
                };
                if changed {
                    queue.push_back(next);
                }
            }
        }
        // Reached by a table of jumps, or as a handler of exceptions.
        match (unreached..blocks.len()).find(|&index| states.get(index).is_some_and(Option::is_none)) {
            Some(index) => {
                if let Some(state) = states.get_mut(index) {
                    *state = Some(State::unknown());
                }
                queue.push_back(index);
                unreached = index + 1;
            }
            None => break,
        }
    }
    let mut found = Vec::new();
    for (block, state) in blocks.iter().zip(states) {
        let Some(mut state) = state else { continue };
        for instruction in instructions.get(block.first..block.end).unwrap_or(&[]) {
            look(places, instruction, &state, convention, wrappers, &mut found);
            execute(&mut state, instruction, convention, &mut factory);
        }
    }
    mention(&instructions, &mut found);
    found
}

fn blocks(instructions: &[Instruction]) -> Vec<Block> {
    let index_of = |address: u64| instructions.binary_search_by_key(&address, Instruction::ip).ok();
    let ends = |instruction: &Instruction| {
        !matches!(
            instruction.flow_control(),
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt
        ) || instruction.is_invalid()
    };
    let branches = |instruction: &Instruction| {
        matches!(
            instruction.flow_control(),
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
        )
    };
    let mut leaders = vec![false; instructions.len() + 1];
    for (index, instruction) in instructions.iter().enumerate() {
        // `syscall` has a flow control of its own.
        if ends(instruction) {
            leaders[index + 1] = true;
        }
        if branches(instruction)
            && let Some(target) = index_of(instruction.near_branch_target())
        {
            leaders[target] = true;
        }
    }
    let mut firsts: Vec<usize> =
        (0..instructions.len()).filter(|&index| index == 0 || leaders[index]).collect();
    firsts.push(instructions.len());
    let block_of = |instruction: usize| firsts.binary_search(&instruction).ok();
    let mut blocks = Vec::with_capacity(firsts.len());
    for pair in firsts.windows(2) {
        let &[first, end] = pair else { break };
        let mut next = Vec::new();
        if let Some(last) = instructions.get(end.wrapping_sub(1)) {
            if branches(last) {
                next.extend(index_of(last.near_branch_target()).and_then(block_of));
            }
            let stops = matches!(
                last.flow_control(),
                FlowControl::UnconditionalBranch
                    | FlowControl::IndirectBranch
                    | FlowControl::Return
                    | FlowControl::Exception
            );
            if !stops && end < instructions.len() {
                next.extend(block_of(end));
            }
        }
        blocks.push(Block { first, end, next });
    }
    blocks
}

/// What an instruction does with what is known before it.
fn look(
    places: &mut Places<'_, '_>,
    instruction: &Instruction,
    state: &State,
    convention: Convention,
    wrappers: &Wrappers,
    found: &mut Vec<Found>,
) {
    let address = instruction.ip();
    let mut add = |via: Via, value: Value| found.push(Found { address, via, value });
    match instruction.code() {
        Code::Syscall => return add(Via::Syscall, state.get(0)),
        Code::Sysenter => return add(Via::Sysenter, state.get(0)),
        Code::Int_imm8 if instruction.immediate8() == 0x80 => return add(Via::Int80, state.get(0)),
        _ => {}
    }
    let is_call = instruction.mnemonic() == Mnemonic::Call;
    let is_jump = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch | FlowControl::IndirectBranch
    );
    if !is_call && !is_jump {
        return;
    }
    let goes = match instruction.op0_kind() {
        OpKind::NearBranch64 | OpKind::NearBranch32 => {
            let target = instruction.near_branch_target();
            Some(places.stub(target).unwrap_or(Goes::Own(target)))
        }
        OpKind::Memory if is_kernel_vsyscall(places, instruction) => {
            return add(Via::KernelVsyscall, state.get(0));
        }
        OpKind::Memory => place(places, instruction).and_then(|place| places.pointer(place)),
        OpKind::Register => {
            if let Some((number, _)) = register(instruction.op0_register())
                && let Value::Constants(constants) = state.get(number)
            {
                let numbers: Vec<u64> =
                    constants.as_slice().iter().filter_map(|&value| vsyscall(value)).map(u64::from).collect();
                if !numbers.is_empty() {
                    add(Via::VsyscallCall, Value::of(numbers));
                }
            }
            None
        }
        _ => None,
    };
    for wrapper in goes.and_then(|goes| wrappers.get(&goes)).unwrap_or(&Vec::new()) {
        let value = state.parameter(wrapper.parameter, is_call, convention.word).cut(wrapper.bits);
        add(wrapper.via, value);
    }
}

/// Addresses of the vsyscall page among the constants that no call was seen to take.
fn mention(instructions: &[Instruction], found: &mut Vec<Found>) {
    let called: Vec<u64> = found
        .iter()
        .filter(|found| found.via == Via::VsyscallCall)
        .filter_map(|found| match found.value {
            Value::Constants(constants) => Some(constants.as_slice().to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    for instruction in instructions {
        for operand in 0..instruction.op_count() {
            if !matches!(instruction.op_kind(operand), OpKind::Immediate32to64 | OpKind::Immediate64) {
                continue;
            }
            if let Some(number) = vsyscall(instruction.immediate(operand)).map(u64::from)
                && !called.contains(&number)
            {
                let value = Value::constant(number);
                found.push(Found { address: instruction.ip(), via: Via::VsyscallMention, value });
            }
        }
    }
}
