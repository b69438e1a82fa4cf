//! The JSON grammar (RFC 8259) as a cursor over bytes: it finds where each token ends and refuses
//! everything that the grammar does not allow.
//!
//! It builds nothing and knows nothing about records. Two readers stand on it: [`split`] walks the
//! members of a record, [`read_log`] the elements of a file. A general parser would do, at two to
//! three times the cost: ingest spends a quarter of its time here. `tests/grammar.rs` holds it to
//! what `serde_json` accepts.
//!
//! Left to others: whether the bytes are UTF-8 (bytes above 0x7F pass inside strings), and whether
//! `\u` escapes pair up (the grammar does not ask).
//!
//! Nesting is counted, not recursed into, so a hostile depth costs a bit per level and no stack.
//!
//! [`split`]: crate::split()
//! [`read_log`]: crate::read_log()

/// Where the grammar broke, and what may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) expected: &'static str,
}

/// A string token: where its content begins and ends (without quotes), and whether it has escapes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

/// A cursor. After a fault its position means nothing.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The byte under the cursor; 0, which no token begins with, at the end.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Moves past white space.
    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Moves past `byte` if it stands here.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// Moves past `byte`, which must stand here.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(expected)) }
    }

    pub(crate) const fn fault(&self, expected: &'static str) -> Fault {
        Fault { offset: self.at, expected }
    }

    /// A member's name and its colon; the cursor then stands on the value.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<Quoted, Fault> {
        let name = self.string("a member name in quotes")?;
        self.skip_space();
        self.expect(b':', "a colon")?;
        self.skip_space();
        Ok(name)
    }

    /// Moves past `"name":` if exactly this stands here: the cheap way to a name that is expected.
    #[inline]
    pub(crate) fn take_name(&mut self, name: &str) -> Option<Quoted> {
        let start = self.at + 1;
        let end = start + name.len();
        let rest = self.bytes.get(self.at..end + 2)?;
        let (content, [b'"', b':']) = rest.strip_prefix(b"\"")?.split_last_chunk()? else {
            return None;
        };
        if content != name.as_bytes() {
            return None;
        }
        self.at = end + 2;
        Some(Quoted { start, end, escaped: false })
    }

    /// A string with its quotes.
    #[inline]
    pub(crate) fn string(&mut self, expected: &'static str) -> Result<Quoted, Fault> {
        self.expect(b'"', expected)?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = find_special(self.bytes, self.at);
            match self.peek() {
                b'"' => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Quoted { start, end, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ if self.is_at_end() => return Err(self.fault("the end of a string")),
                _ => return Err(self.fault("no control character in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_ascii_hexdigit() {
                        return Err(self.fault("four hexadecimal digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault("an escape sequence")),
        }
        Ok(())
    }

    /// Any value, however deep. The cursor stands on its first byte, then behind its last.
    pub(crate) fn value(&mut self) -> Result<(), Fault> {
        let mut open = Nesting::default();
        loop {
            match self.peek() {
                b'{' => {
                    self.at += 1;
                    self.skip_space();
                    if !self.take(b'}') {
                        open.push(Container::Object);
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.skip_space();
                    if !self.take(b']') {
                        open.push(Container::Array);
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            if !self.after_value(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Closes the containers that end here. False when the outermost has been closed, otherwise the
    /// cursor stands on the next value.
    #[inline]
    fn after_value(&mut self, open: &mut Nesting) -> Result<bool, Fault> {
        while let Some(container) = open.last() {
            self.skip_space();
            match (self.peek(), container) {
                (b',', Container::Object) => {
                    self.at += 1;
                    self.skip_space();
                    self.name()?;
                    return Ok(true);
                }
                (b',', Container::Array) => {
                    self.at += 1;
                    self.skip_space();
                    return Ok(true);
                }
                (b'}', Container::Object) | (b']', Container::Array) => {
                    self.at += 1;
                    open.pop();
                }
                (_, Container::Object) => return Err(self.fault("a comma or a closing brace")),
                (_, Container::Array) => return Err(self.fault("a comma or a closing bracket")),
            }
        }
        Ok(false)
    }

    #[inline]
    fn scalar(&mut self) -> Result<(), Fault> {
        match self.peek() {
            b'"' => self.string("a string").map(drop),
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.fault("a value")),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fault("null, true or false"));
        }
        self.at += word.len();
        Ok(())
    }

    /// `-? (0 | [1-9][0-9]*) ('.' [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn number(&mut self) -> Result<(), Fault> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !self.peek().is_ascii_digit() {
            return Err(self.fault("a digit"));
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }
}

/// Position of the first `"`, `\` or control character at or after `from`; the length if there is
/// none. Eight bytes at a time: the lowest byte marked in the word is exact, a borrow can only mark
/// bytes above a true hit.
#[inline]
pub(crate) fn find_special(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        // Flipping bit 1 puts the quote (0x22) right behind the control characters (0x00..0x1f),
        // and the space and `!` out of their way: one comparison for both.
        let low = word ^ (ONES * 0x02);
        let backslash = word ^ (ONES * 0x5c);
        let hits =
            (low.wrapping_sub(ONES * 0x21) & !low) | (backslash.wrapping_sub(ONES) & !backslash);
        if hits & HIGH != 0 {
            return at + ((hits & HIGH).trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    tail.iter().position(special).map_or(bytes.len(), |found| at + found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// The open containers, one bit each: the innermost 64 in a register, the rest spilled.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    bits: u64,
    spilled: Vec<u64>,
}

impl Nesting {
    #[inline]
    fn push(&mut self, container: Container) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.spilled.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(container == Container::Object);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.spilled.pop().unwrap_or(0);
        }
    }

    #[inline]
    fn last(&self) -> Option<Container> {
        match (self.depth, self.bits & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for byte in 0..=u8::MAX {
            let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for position in 0..20 {
                // Neighbours that tempt a borrow: 0x00 after a hit, 0x80 and 0xff before it.
                for filler in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                    let mut bytes = [filler; 20];
                    bytes[position] = byte;
                    let expected = if is_special { position } else { bytes.len() };
                    assert_eq!(find_special(&bytes, 0), expected, "{byte} at {position}");
                }
            }
        }
    }

    #[test]
    fn nesting_remembers_any_depth() {
        let kind = |level: usize| {
            if level.is_multiple_of(3) { Container::Object } else { Container::Array }
        };
        let mut nesting = Nesting::default();
        for level in 0..300 {
            nesting.push(kind(level));
        }
        for level in (0..300).rev() {
            assert_eq!(nesting.last(), Some(kind(level)), "{level}");
            nesting.pop();
        }
        assert_eq!(nesting.last(), None);
    }
}
