//! Rows as PostgreSQL's composite types: what the functions `store` and `fold` take arrays of.

/// Names the composite type that a struct is encoded as. Its fields are the type's, in the same order.
macro_rules! composite {
    ($row:ident, $name:literal) => {
        impl sqlx::Type<sqlx::Postgres> for $row<'_> {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                sqlx::postgres::PgTypeInfo::with_name($name)
            }
        }

        impl sqlx::postgres::PgHasArrayType for $row<'_> {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                sqlx::postgres::PgTypeInfo::with_name(concat!("_", $name))
            }
        }
    };
}

pub(super) use composite;
