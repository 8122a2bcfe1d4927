//! The second pass, over functions that call the kernel or call who does: with which number. Constants are followed
//! forward through the function, whichever way it takes.

use super::execute::{Convention, execute, register};
use super::facts::Via;
use super::places::{Goes, Places, vsyscall};
use super::sweep::{bitness, is_kernel_vsyscall, is_padding, place};
use super::value::{Parameter, State, Value};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Where it ends by comparing: the block that follows if this register has this value.
    equal: Option<(usize, u8, u64)>,
}

/// Looks at one function's instructions, `start` to `end`.
pub fn flow(
    places: &Places<'_, '_>,
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
    let mut found = by_blocks(places, &instructions, &blocks, convention, wrappers, &mut factory);
    if found.iter().any(|found| !matches!(found.value, Value::Constants(_))) {
        let states = states(places, &instructions, &blocks, convention, &mut factory);
        found.clear();
        for (block, state) in blocks.iter().zip(states) {
            let Some(mut state) = state else { continue };
            look_at_block(places, &instructions, block, &mut state, convention, wrappers, &mut factory, &mut found);
        }
    }
    mention(&instructions, &mut found);
    found
}

/// Looks at each block by itself: most calls have their number right before them.
fn by_blocks(
    places: &Places<'_, '_>,
    instructions: &[Instruction],
    blocks: &[Block],
    convention: Convention,
    wrappers: &Wrappers,
    factory: &mut InstructionInfoFactory,
) -> Vec<Found> {
    let mut found = Vec::new();
    for block in blocks {
        let mut state = State::unknown();
        look_at_block(places, instructions, block, &mut state, convention, wrappers, factory, &mut found);
    }
    found
}

/// Looks at each instruction of a block, with what is known before it.
#[expect(clippy::too_many_arguments, reason = "what both passes share")]
fn look_at_block(
    places: &Places<'_, '_>,
    instructions: &[Instruction],
    block: &Block,
    state: &mut State,
    convention: Convention,
    wrappers: &Wrappers,
    factory: &mut InstructionInfoFactory,
    found: &mut Vec<Found>,
) {
    for instruction in instructions.get(block.first..block.end).unwrap_or(&[]) {
        look(places, instruction, state, convention, wrappers, found);
        step(places, state, instruction, convention, factory);
    }
    // glibc's clone() runs into code without an unwind entry.
    if block.end == instructions.len()
        && let Some(last) = instructions.last().filter(|last| !is_padding(last))
    {
        for wrapper in wrappers.get(&Goes::Own(last.next_ip())).unwrap_or(&Vec::new()) {
            let value = state.parameter(wrapper.parameter, false, convention.word).cut(wrapper.bits);
            found.push(Found { address: last.ip(), via: wrapper.via, value });
        }
    }
}

/// What is known at the start of each block, whichever way leads there. None: nothing leads there, not even a jump by a table.
fn states(
    places: &Places<'_, '_>,
    instructions: &[Instruction],
    blocks: &[Block],
    convention: Convention,
    factory: &mut InstructionInfoFactory,
) -> Vec<Option<State>> {
    let mut states: Vec<Option<State>> = blocks.iter().map(|_| None).collect();
    let mut visits = vec![0u32; blocks.len()];
    // In the order of the code, so that a block is seldom gone through before those that lead to it.
    let mut queue = BTreeSet::new();
    if let Some(first) = states.first_mut() {
        *first = Some(State::entry());
        queue.insert(0);
    }
    let mut unreached = 0;
    loop {
        while let Some(index) = queue.pop_first() {
            let Some((block, Some(state))) = blocks.get(index).zip(states.get(index)) else { continue };
            let mut state = state.clone();
            for instruction in instructions.get(block.first..block.end).unwrap_or(&[]) {
                step(places, &mut state, instruction, convention, factory);
            }
            for &next in &block.next {
                let known;
                let state = match block.equal {
                    Some((equal, number, value)) if equal == next => {
                        let mut refined = state.clone();
                        refined.set(number, Value::constant(value));
                        known = refined;
                        &known
                    }
                    _ => &state,
                };
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
                            there.join(state)
                        }
                    }
                };
                if changed {
                    queue.insert(next);
                }
            }
        }
        // Reached by a table of jumps, or as a handler of exceptions.
        let is_unreached = |&index: &usize| {
            let block = blocks.get(index).and_then(|block| instructions.get(block.first..block.end));
            states.get(index).is_some_and(Option::is_none) && !block.unwrap_or(&[]).iter().all(is_padding)
        };
        let Some(index) = (unreached..blocks.len()).find(is_unreached) else { return states };
        if let Some(state) = states.get_mut(index) {
            *state = Some(State::unknown());
        }
        queue.insert(index);
        unreached = index + 1;
    }
}

/// Carries an instruction out. i386's `__x86.get_pc_thunk.REG` is a call that changes one register.
fn step(
    places: &Places<'_, '_>,
    state: &mut State,
    instruction: &Instruction,
    convention: Convention,
    factory: &mut InstructionInfoFactory,
) {
    if !places.parts.is_64
        && instruction.mnemonic() == Mnemonic::Call
        && instruction.op0_kind() == OpKind::NearBranch32
        // mov (%esp),%REG; ret
        && let Some(&[0x8b, operands, 0x24, 0xc3]) = places.code_at(instruction.near_branch_target()).and_then(<[_]>::first_chunk)
        && operands & 0xc7 == 0x04
    {
        state.set(operands >> 3 & 7, Value::constant(instruction.next_ip()));
        return;
    }
    execute(state, instruction, convention, factory);
}

fn blocks(instructions: &[Instruction]) -> Vec<Block> {
    let index_of = |address: u64| instructions.binary_search_by_key(&address, Instruction::ip).ok();
    let ends = |instruction: &Instruction| {
        !matches!(instruction.flow_control(), FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt)
            || instruction.is_invalid()
    };
    let branches = |instruction: &Instruction| {
        matches!(instruction.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
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
    let mut firsts: Vec<usize> = (0..instructions.len()).filter(|&index| index == 0 || leaders[index]).collect();
    firsts.push(instructions.len());
    let block_of = |instruction: usize| firsts.binary_search(&instruction).ok();
    let mut blocks = Vec::with_capacity(firsts.len());
    for pair in firsts.windows(2) {
        let &[first, end] = pair else { break };
        let mut next = Vec::new();
        let mut equal = None;
        if let Some(last) = instructions.get(end.wrapping_sub(1)) {
            if branches(last) {
                next.extend(index_of(last.near_branch_target()).and_then(block_of));
            }
            let stops = matches!(
                last.flow_control(),
                FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::Return | FlowControl::Exception
            );
            if !stops && end < instructions.len() {
                next.extend(block_of(end));
            }
        }
        if let Some([before, last]) = instructions.get(first..end).and_then(<[_]>::last_chunk)
            && let Some((number, value)) = compared(before)
        {
            let way = match last.mnemonic() {
                Mnemonic::Je => index_of(last.near_branch_target()).and_then(block_of),
                Mnemonic::Jne => block_of(end),
                _ => None,
            };
            equal = way.map(|way| (way, number, value));
        }
        blocks.push(Block { first, end, next, equal });
    }
    blocks
}

/// `test %eax,%eax` and `cmp $X,%eax`: the register and the value that it is compared with. glibc's read() begins so: its number is 0.
fn compared(instruction: &Instruction) -> Option<(u8, u64)> {
    if instruction.op0_kind() != OpKind::Register {
        return None;
    }
    let (number, bits) = register(instruction.op0_register())?;
    let value = match (instruction.mnemonic(), instruction.op1_kind()) {
        (Mnemonic::Test, OpKind::Register) if instruction.op1_register() == instruction.op0_register() => 0,
        (Mnemonic::Cmp, OpKind::Immediate8to32 | OpKind::Immediate8to64 | OpKind::Immediate32 | OpKind::Immediate32to64) => {
            instruction.immediate(1)
        }
        _ => return None,
    };
    // A narrower comparison says nothing of the rest.
    (bits >= 32).then_some((number, if bits == 32 { value & 0xffff_ffff } else { value }))
}

/// What an instruction does with what is known before it.
fn look(
    places: &Places<'_, '_>,
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
    let is_jump = matches!(instruction.flow_control(), FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch | FlowControl::IndirectBranch);
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
                let numbers: Vec<u64> = constants.as_slice().iter().filter_map(|&value| vsyscall(value)).map(u64::from).collect();
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
