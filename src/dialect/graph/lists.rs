//! Graph's lists: `{"data":[…]}`.

use crate::json::{Json, Type};

/// The objects of a list that is a message's member; also of a mere array, or a single object in place of one.
pub fn members_of<'a>(message: Json<'a>, name: &str) -> impl Iterator<Item = Json<'a>> {
    let list = message.member(name).into_iter();
    let elements = list.flat_map(|list| list.member("data").unwrap_or(list).one_or_many());
    elements.filter(|element| element.kind() == Type::Object && element.members().next().is_some())
}
