//! Text from values: the template unit, the nginx site, the environment file. Escaping belongs to the file type.
