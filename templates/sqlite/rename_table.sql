pragma legacy_alter_table = off;  -- keys of other tables follow the name
alter table {{ from }} rename to {{ to }};
