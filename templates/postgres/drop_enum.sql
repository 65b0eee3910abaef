drop type if exists {{ name }};
