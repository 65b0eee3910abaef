drop trigger if exists {{ insert_trigger }};
drop trigger if exists {{ update_trigger }};
