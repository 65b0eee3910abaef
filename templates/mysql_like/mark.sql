update crossfade_revision set `{{ phase }}` = {{ revision }} where `release` = {{ release }} and not (`{{ phase }}` <=> {{ last }});
