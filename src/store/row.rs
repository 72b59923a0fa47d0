//! Rows as PostgreSQL's composite types: the installed functions take arrays of them.

use sqlx::postgres::PgTypeInfo;

/// A struct that is sent as a composite type, whose columns are its fields.
pub trait Row {
    /// The type's name, without the hash that [`super::functions`] adds.
    const NAME: &'static str;

    /// Name and type of each column.
    fn columns() -> Vec<(&'static str, PgTypeInfo)>;
}

/// A composite type.
pub struct RowType {
    /// Without the hash.
    pub name: &'static str,
    pub columns: fn() -> Vec<(&'static str, PgTypeInfo)>,
}

impl RowType {
    pub const fn of<R: Row>() -> Self {
        Self { name: R::NAME, columns: R::columns }
    }
}

/// Defines such a struct. The composite type is made from it, so that a column stands in one place.
macro_rules! row {
    (
        $(#[$about:meta])*
        $visibility:vis struct $row:ident<$life:lifetime> as $name:literal {
            $($(#[$field_about:meta])* $field_visibility:vis $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$about])*
        #[derive(sqlx::Encode)]
        $visibility struct $row<$life> {
            $($(#[$field_about])* $field_visibility $field: $type,)*
        }

        impl<$life> $crate::store::row::Row for $row<$life> {
            const NAME: &'static str = $name;

            fn columns() -> Vec<(&'static str, sqlx::postgres::PgTypeInfo)> {
                vec![$((stringify!($field), <$type as sqlx::Type<sqlx::Postgres>>::type_info()),)*]
            }
        }

        impl sqlx::Type<sqlx::Postgres> for $row<'_> {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                static NAME: std::sync::LazyLock<String> =
                    std::sync::LazyLock::new(|| $crate::store::functions::installed($name));
                sqlx::postgres::PgTypeInfo::with_name(&NAME)
            }
        }

        impl sqlx::postgres::PgHasArrayType for $row<'_> {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                static NAME: std::sync::LazyLock<String> =
                    std::sync::LazyLock::new(|| format!("_{}", $crate::store::functions::installed($name)));
                sqlx::postgres::PgTypeInfo::with_name(&NAME)
            }
        }
    };
}

pub(super) use row;
