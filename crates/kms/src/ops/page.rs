//! Lists come in pages: so many items, and a marker for where the next page begins.

use crate::parameters::Marker;
use crate::reply::Reply;

/// One page of a list.
pub(super) struct Page<T> {
    items: Vec<T>,
    next: Option<Marker>,
}

impl<T> Page<T> {
    /// The first `limit` of `rest`, which begins behind the last page. `name` is what the next marker will hold, so it must
    /// find the same place again, whatever was added or removed meanwhile: items have an order by their names.
    pub(super) fn take(
        mut rest: impl Iterator<Item = T>,
        limit: u32,
        name: impl FnOnce(&T) -> String,
    ) -> Self {
        let items = rest.by_ref().take(limit as usize).collect::<Vec<_>>();
        let next = rest.next().and(items.last()).map(|last| Marker::after(&name(last)));
        Self { items, next }
    }

    /// The answer with this page as its list `name`.
    pub(super) fn reply(self, name: &str, entry: impl FnMut(&T) -> Reply) -> Reply {
        Reply::object(self.items.len() * 256)
            .list(name, self.items.iter().map(entry))
            .json("Truncated", self.next.is_some())
            .maybe(self.next, |reply, next| reply.json("NextMarker", next.as_str()))
            .finish()
    }
}
