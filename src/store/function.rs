//! A function that `migrate` installs.

use super::row::{RowType, installed_name};

/// With whose rights it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Those of whoever calls it; it finds the tables that the caller finds first.
    Caller,
    /// Those of the role that ran `migrate`: the caller needs no right but to call it, and only who is granted that may.
    Owner,
}

/// A function. Its name ends in a hash of its definition.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// What stands behind the name in `create function …`.
    pub definition: String,
    pub rights: Rights,
    /// Arguments by which it can be called without doing anything, if there are any.
    pub idle_arguments: Option<String>,
}

impl Function {
    /// One that takes a plain value.
    pub fn new(name: &str, rights: Rights, argument: &str, returns: &str, body: &str) -> Self {
        let rights_clause = match rights {
            Rights::Caller => "",
            Rights::Owner => " security definer",
        };
        let definition =
            format!("({argument}) returns {returns} language plpgsql{rights_clause} as $function$\n{body}\n$function$");
        Self { name: installed_name(name, &definition), definition, rights, idle_arguments: None }
    }

    /// One that takes arrays of rows.
    pub fn of_arrays(name: &str, rights: Rights, arrays: &[(&str, &RowType)], returns: &str, body: &str) -> Self {
        let list: Vec<_> = arrays.iter().map(|(name, row)| format!("{name} {}[]", row.installed_name())).collect();
        let idle_arguments = Some(vec!["'{}'"; arrays.len()].join(", "));
        Self { idle_arguments, ..Self::new(name, rights, &list.join(", "), returns, body) }
    }
}
