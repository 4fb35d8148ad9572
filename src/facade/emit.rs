//! From a call of a facade to the ring.

use super::draft::{self, Draft};
use super::sites::{self, Known, Origin, Shaped};
use crate::format::ValueRef;
use crate::level::Level;
use crate::logger::emit::{Payload, is_written, slow};
use crate::logger::{followers, register};
use crate::record::bytes::Cursor;
use crate::record::types::{OwnedType, put_type, read_type};
use crate::value::Types;

/// Records a call, if the levels let it through; then `fill` hands out its message and its fields.
#[inline]
pub(super) fn record(origin: &Origin<'_>, fill: impl FnOnce(&mut Draft)) {
    let Some(known) = sites::find(origin) else { return overflow(origin, |draft| fill(draft)) };
    // The first call asks before anything is formatted; later ones learn it from the site of their shape.
    if known.gate.state() == 0 || (!known.has_recorded() && !register::is_wanted(&known.gate)) {
        return;
    }
    draft::with(|draft| {
        fill(draft);
        draft.fields.finish();
        emit(origin, known, draft);
    });
}

#[inline]
fn emit(origin: &Origin<'_>, known: &'static Known, draft: &Draft) {
    let shaped = match known.find(&draft.fields.shape) {
        Some(shaped) => shaped,
        None if !register::is_wanted(&known.gate) => return,
        None => match known.make(&draft.fields.shape) {
            Some(shaped) => shaped,
            None => return emit_overflow(origin, draft),
        },
    };
    let state = shaped.site.state();
    if state == 0 {
        // So the gate, which is asked first, is closed too, until levels change.
        register::is_wanted(&known.gate);
        return;
    }
    let drafted = Drafted { shaped, draft };
    if !is_written(state, &drafted) {
        slow(&shaped.site, &drafted);
    }
}

/// A draft with the types that its definition says.
struct Drafted<'a> {
    shaped: &'static Shaped,
    draft: &'a Draft,
}

impl Payload for Drafted<'_> {
    fn types(&self) -> &'static Types {
        self.shaped.types
    }

    fn target(&self) -> Option<&'static str> {
        None
    }

    #[inline(always)]
    fn signature(&self) -> u32 {
        self.shaped.signature
    }

    #[inline(always)]
    fn bytes(&self) -> usize {
        self.draft.bytes()
    }

    fn bytes_min(&self) -> usize {
        self.draft.bytes_min()
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) {
        let (message, values) = (&self.draft.message, &self.draft.fields.values);
        let count = message.len() as u32 | if self.draft.message_cut { crate::value::CUT } else { 0 };
        // SAFETY: the caller gives room for `bytes()`: the count, the message and the values.
        unsafe { out.cast::<[u8; 4]>().write(count.to_le_bytes()) };
        let out = out.wrapping_add(4);
        // SAFETY: as above; a ring overlaps no vector.
        unsafe { out.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
        let out = out.wrapping_add(message.len());
        // SAFETY: as above.
        unsafe { out.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
    }

    unsafe fn encode_cut(&self, out: *mut u8, spare: usize) {
        let cut = self.draft.cut(spare);
        // SAFETY: the caller gives room for `bytes_min() + spare`, and `cut` makes no more.
        unsafe { out.copy_from_nonoverlapping(cut.as_ptr(), cut.len()) };
    }
}

/// There is no place for one more call.
#[cold]
fn overflow(origin: &Origin<'_>, fill: impl FnOnce(&mut Draft)) {
    if followers::is_wanted(origin.level, origin.target.text()) {
        draft::with(|draft| {
            fill(draft);
            emit_overflow(origin, draft);
        });
    }
}

#[cold]
fn emit_overflow(origin: &Origin<'_>, draft: &Draft) {
    let mut text = String::from_utf8_lossy(&draft.message).into_owned();
    for field in draft.fields.iter() {
        let mut bytes = [0; 8];
        put_type(&mut crate::record::bytes::Sink::new(&mut bytes), field.kind.ty());
        let Ok(ty) = read_type(&mut Cursor::new(&bytes)) else { continue };
        text.push_str(if text.is_empty() { "" } else { " " });
        text.push_str(field.name);
        text.push('=');
        // What the draft holds, it wrote itself.
        let _ = render(&ty, field.value, &mut text);
    }
    let (target, file, line) = (origin.target.text(), origin.file.text(), origin.line);
    // `log!` has a call site for each level.
    let level: Level = origin.level;
    crate::log!(
        level, target: "overflow",
        "log.target" = target, "log.file" = file, "log.line" = line; "{}", text
    );
}

fn render(ty: &OwnedType, value: &[u8], out: &mut String) -> Result<(), crate::record::bytes::DecodeError> {
    ValueRef::take(ty, &mut Cursor::new(value))?.render(false, out)
}
