mod engine_speed;
