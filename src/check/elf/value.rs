//! What is known of a register or a stack slot at one point of a function.

/// Constants that one value may have. More than these are "not known".
const MOST_CONSTANTS: usize = 4;

/// Stack slots kept in mind.
const MOST_SLOTS: usize = 64;

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Not known.
    Any,
    /// One of these.
    Constants(Constants),
    /// Not known, but for its low 8 or 16 bits.
    Low(u8, u16),
    /// What the function was called with, cut to so many bits.
    Entry(Parameter, u8),
    /// An address on the stack: bytes from where it pointed when the function was called.
    Stack(i64),
}

/// Where a function's caller puts a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Parameter {
    /// In a register, by its number in instructions (rax 0, rcx 1, ...).
    Register(u8),
    /// On the stack: bytes above the return address.
    Slot(i64),
}

/// A few constants, sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    values: [u64; MOST_CONSTANTS],
    length: u8,
}

impl Constants {
    /// The constants.
    pub fn as_slice(&self) -> &[u64] {
        self.values.get(..usize::from(self.length)).unwrap_or(&[])
    }

    fn from_sorted(values: &[u64]) -> Option<Constants> {
        let mut array = [0; MOST_CONSTANTS];
        array.get_mut(..values.len())?.copy_from_slice(values);
        Some(Constants { values: array, length: values.len() as u8 })
    }
}

impl Value {
    /// One constant.
    pub fn constant(value: u64) -> Value {
        Constants::from_sorted(&[value]).map_or(Value::Any, Value::Constants)
    }

    /// Any of these.
    pub fn of(mut values: Vec<u64>) -> Value {
        values.sort_unstable();
        values.dedup();
        Constants::from_sorted(&values).map_or(Value::Any, Value::Constants)
    }

    /// The one constant it is.
    pub fn as_constant(self) -> Option<u64> {
        match self {
            Value::Constants(constants) => match constants.as_slice() {
                [one] => Some(*one),
                _ => None,
            },
            _ => None,
        }
    }

    /// Each constant changed.
    pub fn map(self, change: impl Fn(u64) -> u64) -> Value {
        match self {
            Value::Constants(constants) => {
                Value::of(constants.as_slice().iter().copied().map(change).collect())
            }
            _ => Value::Any,
        }
    }

    /// The low bits, the others zero.
    pub fn cut(self, bits: u8) -> Value {
        let mask = mask(bits);
        match self {
            Value::Constants(_) => self.map(|value| value & mask),
            Value::Low(known, value) if bits <= known => Value::constant(u64::from(value) & mask),
            Value::Low(..) => self,
            Value::Entry(parameter, known) => Value::Entry(parameter, known.min(bits)),
            // Programs of 32 bits keep addresses in them.
            Value::Stack(_) if bits >= 32 => self,
            Value::Stack(_) | Value::Any => Value::Any,
        }
    }

    /// The low bits, sign-extended.
    pub fn sign_extended(self, bits: u8) -> Value {
        let shift = 64 - u32::from(bits.clamp(1, 64));
        match self.cut(bits) {
            cut @ Value::Constants(_) => cut.map(|value| ((value << shift) as i64 >> shift) as u64),
            // A number of a call is never negative.
            cut => cut,
        }
    }

    /// With its low bits written, the others as they were.
    pub fn with_low(self, bits: u8, low: Value) -> Value {
        let mask = mask(bits);
        let Some(low) = low.cut(bits).as_constant() else { return Value::Any };
        match self {
            Value::Constants(_) => self.map(|value| value & !mask | low),
            _ => Value::Low(bits, low as u16),
        }
    }

    /// What it is where two ways meet.
    pub fn join(self, other: Value) -> Value {
        match (self, other) {
            (a, b) if a == b => a,
            (Value::Constants(a), Value::Constants(b)) => Value::of([a.as_slice(), b.as_slice()].concat()),
            _ => Value::Any,
        }
    }
}

fn mask(bits: u8) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Registers and the stack at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// By their numbers in instructions.
    registers: [Value; 16],
    /// By bytes from where the stack pointer was at the function's start.
    slots: Vec<(i64, Value)>,
    /// Whether slots of the caller still have what it put there unless `slots` says otherwise.
    knows_entry: bool,
}

impl State {
    /// The number of the stack pointer.
    pub const SP: u8 = 4;

    /// Nothing is known, but that there is a stack.
    pub fn unknown() -> State {
        /// Far from where the stack is that a function begins with.
        const ELSEWHERE: i64 = 1 << 40;
        let mut state = State { registers: [Value::Any; 16], slots: Vec::new(), knows_entry: false };
        state.set(Self::SP, Value::Stack(ELSEWHERE));
        state
    }

    /// At a function's first instruction.
    pub fn entry() -> State {
        let mut registers = [Value::Any; 16];
        for (number, register) in registers.iter_mut().enumerate() {
            *register = Value::Entry(Parameter::Register(number as u8), 64);
        }
        let mut state = State { registers, slots: Vec::new(), knows_entry: true };
        state.set(Self::SP, Value::Stack(0));
        state
    }

    /// A register.
    pub fn get(&self, register: u8) -> Value {
        self.registers.get(usize::from(register)).copied().unwrap_or(Value::Any)
    }

    /// Sets a register.
    pub fn set(&mut self, register: u8, value: Value) {
        if let Some(there) = self.registers.get_mut(usize::from(register)) {
            *there = value;
        }
    }

    /// What stands on the stack.
    pub fn load(&self, at: i64) -> Value {
        match self.slots.binary_search_by_key(&at, |&(at, _)| at).ok().and_then(|index| self.slots.get(index))
        {
            Some(&(_, value)) => value,
            None if at > 0 && self.knows_entry => Value::Entry(Parameter::Slot(at), 64),
            None => Value::Any,
        }
    }

    /// Writes to the stack.
    pub fn store(&mut self, at: i64, value: Value) {
        match self.slots.binary_search_by_key(&at, |&(at, _)| at) {
            Ok(index) => {
                if let Some(slot) = self.slots.get_mut(index) {
                    slot.1 = value;
                }
            }
            Err(index) if self.slots.len() < MOST_SLOTS => self.slots.insert(index, (at, value)),
            // What is forgotten must not look like the caller's.
            Err(_) => self.knows_entry = false,
        }
    }

    /// Takes in what is known on another way here; whether anything changed.
    pub fn join(&mut self, other: &State) -> bool {
        if self == other {
            return false;
        }
        let mut changed = false;
        for (mine, theirs) in self.registers.iter_mut().zip(&other.registers) {
            let joined = mine.join(*theirs);
            changed |= joined != *mine;
            *mine = joined;
        }
        let mut slots: Vec<(i64, Value)> = Vec::with_capacity(self.slots.len());
        let mut all: Vec<i64> = self.slots.iter().chain(&other.slots).map(|&(at, _)| at).collect();
        all.sort_unstable();
        all.dedup();
        for at in all {
            let (mine, joined) = (self.load(at), self.load(at).join(other.load(at)));
            changed |= mine != joined;
            slots.push((at, joined));
        }
        self.slots = slots;
        if self.knows_entry && !other.knows_entry {
            self.knows_entry = false;
            changed = true;
        }
        changed
    }

    /// What a parameter of a callee is, where the callee is called (`is_call`) or jumped to now.
    pub fn parameter(&self, parameter: Parameter, is_call: bool, word: i64) -> Value {
        match parameter {
            Parameter::Register(number) => self.get(number),
            Parameter::Slot(at) => match self.get(Self::SP) {
                Value::Stack(sp) => {
                    self.load(sp.wrapping_add(at).wrapping_sub(if is_call { word } else { 0 }))
                }
                _ => Value::Any,
            },
        }
    }
}
