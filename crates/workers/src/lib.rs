//! The MLX tree itself: ServerWorker, HealthActor, BreakerActor and the tree that joins them.
