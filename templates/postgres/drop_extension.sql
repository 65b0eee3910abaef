drop extension if exists {{ name }};
