"""Who is who: ids that stay with people, whatever detector finds them."""
