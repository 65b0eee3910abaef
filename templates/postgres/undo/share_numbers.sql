drop function if exists {{ function }}();
