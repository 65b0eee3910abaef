delimiter //
create trigger if not exists {{ update_trigger }} before update on {{ table }} for each row
begin
{%- set pad = "  " if returned_update else "" %}
{%- for variable in variables %}
  declare {{ variable }};
{%- endfor %}
{%- if returned_update %}
  if new.crossfade_writer in ({{ returning }}) then
    -- contract has begun: only the new version writes, and its columns come back to their names
{%- for line in returned_update %}
    {{ line }}
{%- endfor %}
  else
{%- endif %}
{%- for lens in lenses %}
{%- if lens.update %}
{{ pad }}  -- {{ lens.title }}
{%- for line in lens.update %}
{{ pad }}  {{ line }}
{%- endfor %}
{%- endif %}
{%- endfor %}
{%- if returned_update %}
  end if;
{%- endif %}
{%- for fill in fills %}
  if {{ fill.is_null }} then
    {{ fill.set }}
  end if;
{%- endfor %}
end //
create trigger if not exists {{ insert_trigger }} before insert on {{ table }} for each row
begin
{%- set pad = "  " if returned_insert else "" %}
{%- for variable in variables %}
  declare {{ variable }};
{%- endfor %}
{%- if marker %}
  -- the database that the client has chosen says who writes; of another one, what it gives
  declare writer varchar(3) default case new.crossfade_writer
    when {{ namespace }} then 'new'
{%- for name in old_namespaces %}
    when {{ name }} then 'old'
{%- endfor %}
  end;
{%- endif %}
{%- if returned_insert %}
  if new.crossfade_writer in ({{ returning }}) then
    -- contract has begun: what is given in a column under its helper name stands in the other one, and the other way round
{%- for line in returned_insert %}
    {{ line }}
{%- endfor %}
  else
{%- endif %}
{%- for lens in lenses %}
{{ pad }}  -- {{ lens.title }}
{%- if lens.insert_new %}
{{ pad }}  if {{ lens.is_new }} then
{%- for line in lens.insert_new %}
{{ pad }}    {{ line }}
{%- endfor %}
{{ pad }}  else
{%- if lens.insert_old %}
{%- for line in lens.insert_old %}
{{ pad }}    {{ line }}
{%- endfor %}
{%- else %}
{{ pad }}    begin end;  -- the old version has written it itself
{%- endif %}
{{ pad }}  end if;
{%- elif lens.insert_old %}
{{ pad }}  if not ({{ lens.is_new }}) then
{%- for line in lens.insert_old %}
{{ pad }}    {{ line }}
{%- endfor %}
{{ pad }}  end if;
{%- endif %}
{%- endfor %}
{%- if returned_insert %}
    set new.crossfade_writer = null;  -- it has said who wrote; NULL takes no room
  end if;
{%- endif %}
{%- for fill in fills %}
  if {{ fill.is_null }} then
    {{ fill.set }}
  end if;
{%- endfor %}
{%- if marker and not returned_insert %}
  set new.crossfade_writer = null;  -- it has said who wrote; NULL takes no room
{%- endif %}
end //
delimiter ;
