alter index if exists {{ from }} rename to {{ to }};
