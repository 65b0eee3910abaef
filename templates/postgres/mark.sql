update crossfade.revision set {{ phase }} = {{ revision }} where release = {{ release }} and {{ phase }} is distinct from {{ last }};
