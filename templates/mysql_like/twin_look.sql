insert into crossfade_gate select concat({{ before }}, ' is a table that its copy would not be: ', lower(table_type))
  from information_schema.tables
  where table_schema = database() and table_name = {{ before }} and table_type not in ('BASE TABLE', 'VIEW');
set @crossfade_found = (
  select group_concat(trigger_name order by trigger_name separator ', ') from information_schema.triggers
  where event_object_schema = database() and event_object_table = {{ before }} and instr(trigger_name, 'crossfade_') = 0);
insert into crossfade_gate select concat({{ before }}, ' has triggers that its copy would not have: ', @crossfade_found)
  from dual where @crossfade_found is not null;
set @crossfade_found = (
  select group_concat(constraint_name order by constraint_name separator ', ') from information_schema.referential_constraints
  where (constraint_schema = database() and table_name = {{ before }})
    or (unique_constraint_schema = database() and referenced_table_name = {{ before }}));
insert into crossfade_gate select concat({{ before }}, ' has foreign keys, or is referred to, which its copy would not be: ', @crossfade_found)
  from dual where @crossfade_found is not null;
{%- if names_checks %}
set @crossfade_found = (
  select group_concat(constraint_name order by constraint_name separator ', ') from information_schema.table_constraints
  where table_schema = database() and table_name = {{ before }} and constraint_type = 'CHECK');
insert into crossfade_gate select concat({{ before }}, ' has checks that would have other names in its copy: ', @crossfade_found)
  from dual where @crossfade_found is not null;
{%- endif %}
