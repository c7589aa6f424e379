"""As if the unrelated package called `acl` were installed: a module of that name which is no pyACL."""
