//! Rows as PostgreSQL's composite types: the installed functions take arrays of them.

use sha2::{Digest, Sha256};
use sqlx::postgres::PgTypeInfo;

/// A struct that is sent as a composite type, whose columns are its fields.
pub trait Row {
    /// The type's name, to which [`RowType::installed_name`] adds a hash.
    const NAME: &'static str;

    /// Name and type of each column.
    fn columns() -> Vec<(&'static str, PgTypeInfo)>;
}

/// The composite type of a row.
pub struct RowType {
    name: &'static str,
    columns: fn() -> Vec<(&'static str, PgTypeInfo)>,
}

impl RowType {
    pub const fn of<R: Row>() -> Self {
        Self { name: R::NAME, columns: R::columns }
    }

    /// The columns' names.
    pub fn columns(&self) -> String {
        let names: Vec<_> = (self.columns)().into_iter().map(|(name, _)| name).collect();
        names.join(", ")
    }

    /// What stands behind `create type …`.
    pub fn definition(&self) -> String {
        let columns: Vec<_> = (self.columns)().into_iter().map(|(name, column)| format!("{name} {column}")).collect();
        format!("as ({})", columns.join(", "))
    }

    pub fn installed_name(&self) -> String {
        installed_name(self.name, &self.definition())
    }
}

/// The name that a type or function has in the database: with 12 hexadecimal digits of the SHA-256 of its definition, so
/// that another definition has another name.
pub fn installed_name(name: &str, definition: &str) -> String {
    format!("{name}_{}", hex::encode(&Sha256::digest(definition)[..6]))
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
                    std::sync::LazyLock::new(|| $crate::store::row::RowType::of::<$row<'_>>().installed_name());
                sqlx::postgres::PgTypeInfo::with_name(&NAME)
            }
        }

        impl sqlx::postgres::PgHasArrayType for $row<'_> {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                static NAME: std::sync::LazyLock<String> =
                    std::sync::LazyLock::new(|| format!("_{}", $crate::store::row::RowType::of::<$row<'_>>().installed_name()));
                sqlx::postgres::PgTypeInfo::with_name(&NAME)
            }
        }
    };
}

pub(super) use row;
