-- Where this script was stopped behind the exchange of names, that is remembered before the table that gave its name away goes.
set @crossfade_left = {{ is_left }};
insert ignore into crossfade_journal (`release`, step) select {{ release }}, {{ step }} from dual where @crossfade_left;
drop table if exists {{ left }};
-- A copy that somebody has dropped is begun anew.
set @crossfade_there = {{ is_there }};
delete from crossfade_checkpoint where `release` = {{ release }} and backfill = {{ name }} and not @crossfade_there
  and {{ pending }};
create table if not exists {{ twin }} like {{ table }};
-- Empty as it is, and nobody knows it yet.
{{ retype }}
{%- if counts %}
-- A row that is 0 is no request for a number, neither here nor in the triggers, which keep this setting.
set session sql_mode = concat(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO');
{%- endif %}
-- What is inserted into the table replaces what the copy has under that key, so that it can't matter which of a batch and a writer
-- came first. What is updated is updated: to replace it would lock its neighbours in unique indexes, too.
-- A script that runs again after the exchange makes the triggers once more, and takes them away at its end: no trigger can be made
-- on a condition.
delimiter //
create trigger if not exists {{ triggers[0] }} after delete on {{ table }} for each row
begin
  delete from {{ twin }} where {{ key_is_old }};
end //
create trigger if not exists {{ triggers[1] }} after update on {{ table }} for each row
begin
  if {{ stays }} then
    -- Where it is not there, it is still to be copied.
    update {{ twin }} set {{ sets }} where {{ key_is_old }};
  else
    delete from {{ twin }} where {{ key_is_old }};
    replace into {{ twin }} ({{ columns }})
      values ({{ given }});
  end if;
end //
create trigger if not exists {{ triggers[2] }} after insert on {{ table }} for each row
begin
  replace into {{ twin }} ({{ columns }})
    values ({{ given }});
end //
delimiter ;
