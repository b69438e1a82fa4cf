//! Reading a message from top to bottom: each read knows where it is, and no memory is taken by an announced length.

use std::io::{ErrorKind, Read};

use crate::EnvelopeError;

/// Memory grows by at most so much before the bytes for it have arrived.
const STEP_BYTES: usize = 1 << 16;

/// A message that is being read.
pub(crate) struct Source<'a> {
    reader: &'a mut dyn Read,
    offset: u64,
}

impl<'a> Source<'a> {
    pub(crate) fn new(reader: &'a mut dyn Read) -> Self {
        Self { reader, offset: 0 }
    }

    /// How much was read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends exactly `length` bytes to the buffer. `part` is what they are, for the error when they are not all there.
    pub(crate) fn append(
        &mut self,
        buffer: &mut Vec<u8>,
        length: usize,
        part: &'static str,
    ) -> Result<(), EnvelopeError> {
        let start = buffer.len();
        self.fill_from(buffer, start, start.saturating_add(length), part)
    }

    /// Makes the buffer the next `length` bytes. What it held is overwritten; its memory is used again.
    pub(crate) fn replace(
        &mut self,
        buffer: &mut Vec<u8>,
        length: usize,
        part: &'static str,
    ) -> Result<(), EnvelopeError> {
        buffer.truncate(length);
        self.fill_from(buffer, 0, length, part)
    }

    /// Reads the bytes of the buffer from `start` to `end`, growing it as they come.
    fn fill_from(
        &mut self,
        buffer: &mut Vec<u8>,
        start: usize,
        end: usize,
        part: &'static str,
    ) -> Result<(), EnvelopeError> {
        let begin = self.offset;
        let mut filled = start;
        while filled < end {
            let next = end.min(buffer.len().max(filled.saturating_add(STEP_BYTES)));
            if buffer.len() < next {
                buffer.resize(next, 0);
            }
            let piece = buffer.get_mut(filled..next).unwrap_or_default();
            self.read(piece, part, begin)?;
            filled = next;
        }
        Ok(())
    }

    /// Fills the array. For what is small; anything of an announced length is appended.
    pub(crate) fn exact(
        &mut self,
        out: &mut [u8],
        part: &'static str,
    ) -> Result<(), EnvelopeError> {
        self.read(out, part, self.offset)
    }

    fn read(
        &mut self,
        out: &mut [u8],
        part: &'static str,
        begin: u64,
    ) -> Result<(), EnvelopeError> {
        self.reader.read_exact(out).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => EnvelopeError::Truncated { part, offset: begin },
            _ => EnvelopeError::Read { offset: begin, source },
        })?;
        self.offset += out.len() as u64;
        Ok(())
    }

    /// Whether nothing follows.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, EnvelopeError> {
        let offset = self.offset;
        match self.reader.read_exact(&mut [0]) {
            Ok(()) => Ok(false),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(true),
            Err(source) => Err(EnvelopeError::Read { offset, source }),
        }
    }
}

/// Bytes of a message that are in memory, and where they stand in it.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a> {
    left: &'a [u8],
    offset: u64,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { left: bytes, offset }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next `length` bytes.
    pub(crate) fn take(
        &mut self,
        length: usize,
        what: &'static str,
    ) -> Result<&'a [u8], EnvelopeError> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(self.malformed(what))?;
        self.left = left;
        self.offset += length as u64;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], EnvelopeError> {
        let malformed = self.malformed(what);
        self.take(N, what)?.try_into().map_err(|_| malformed)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, EnvelopeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// Text with its length of two bytes in front.
    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, EnvelopeError> {
        let length = self.u16(what)?;
        let malformed = self.malformed(what);
        let text = self.take(length.into(), what)?;
        String::from_utf8(text.to_vec()).map_err(|_| malformed)
    }

    /// Refuses what is left over.
    pub(crate) fn end(&self, what: &'static str) -> Result<(), EnvelopeError> {
        if self.is_empty() { Ok(()) } else { Err(self.malformed(what)) }
    }

    pub(crate) fn malformed(&self, what: &'static str) -> EnvelopeError {
        EnvelopeError::Malformed { what, offset: self.offset }
    }
}
