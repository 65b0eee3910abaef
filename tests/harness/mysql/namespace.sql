create database if not exists appdb00000_v2;
create or replace sql security invoker view appdb00000_v2.people as select id, title from appdb00000.people;
