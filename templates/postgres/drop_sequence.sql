drop sequence if exists {{ name }};
