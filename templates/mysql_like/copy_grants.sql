delimiter //
create procedure crossfade_grants()
begin
  declare done boolean default false;
  declare what longtext;
  declare granted cursor for
{%- if schema %}
    -- Who may use the database of the tables may use the namespace.
    select concat('grant ', group_concat(privilege_type order by privilege_type separator ', '), ' on {{ schema }}.* to ', grantee,
                  if(is_grantable = 'YES', ' with grant option', ''))
    from information_schema.schema_privileges
    where table_schema in (database(), replace(database(), '_', '\\_'))
      and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'LOCK TABLES', 'SHOW VIEW')
      and replace(grantee, '''', '') <> current_user()
    group by grantee, is_grantable
{%- endif %}
{%- for pair in pairs %}
    {% if schema or not loop.first %}union all
    {% endif %}select concat('grant ', group_concat(privilege_type order by privilege_type separator ', '), ' on {{ pair.view }} to ', grantee,
                  if(is_grantable = 'YES', ' with grant option', ''))
    from information_schema.table_privileges
    where table_schema = database() and table_name = {{ pair.source }}
      and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'SHOW VIEW')
      and replace(grantee, '''', '') <> current_user()
    group by grantee, is_grantable
{%- endfor %}
{%- for lens in lenses %}
    {% if schema or pairs or not loop.first %}union all
    {% endif %}select concat('grant ', privilege_type, ' ({{ lens.new }}) on {{ lens.table }} to ', grantee, if(max(is_grantable) = 'YES', ' with grant option', ''))
    from information_schema.column_privileges
    where table_schema = database() and table_name = {{ lens.table_literal }} and column_name in ({{ lens.old }})
    group by grantee, privilege_type
    having count(distinct column_name) = {{ lens.count }}
{%- endfor %};
  declare continue handler for not found set done = true;
  open granted;
  granting: loop
    fetch granted into what;
    if done then
      leave granting;
    end if;
    call crossfade_step(true, what);
  end loop;
  close granted;
end //
delimiter ;
call crossfade_grants();
drop procedure crossfade_grants;
