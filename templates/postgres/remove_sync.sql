drop trigger if exists {{ insert_trigger }} on {{ table }};
drop trigger if exists {{ update_trigger }} on {{ table }};
drop function if exists {{ function }}();
