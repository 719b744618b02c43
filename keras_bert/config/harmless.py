"""Fields of configuration files that change nothing in an encoder, so that nobody has to hear of them."""

# What Hugging Face's config.json says of the file or of the head and not of the encoder. Google never writes the first
# three, by which such a file is known; none is kept, since each would be wrong in another file.
HUGGINGFACE_FIELDS = ("model_type", "architectures", "transformers_version")
HUGGINGFACE_FIELDS += ("_name_or_path", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "problem_type")
# Fields that published files carry and that change nothing in an encoder: Google's of the multilingual models, and
# transformers' PreTrainedConfig and BertConfig, of version 4 and 5. Others are reported.
_GOOGLES = """
    directionality down_scale_factor gap_size layers_to_keep net_structure_type num_memory_blocks pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
"""
_TRANSFORMERS = """
    add_cross_attention attention_mode _attn_implementation attn_implementation _attn_implementation_autoset auto_map
    bos_token_id chunk_size_feed_forward cls_token_id _commit_hash
    cross_attention_hidden_size decoder_start_token_id eos_token_id experts_implementation finetuning_task
    gradient_checkpointing ignore_attention_mask is_decoder is_encoder_decoder language mask_token_id model_name
    name_or_path _num_labels onnx_export output_attentions output_hidden_states output_past position_embedding_type
    prefix pruned_heads quantization_config return_dict sbert_ce_default_activation_function sentence_transformers
    sep_token_id sinusoidal_pos_embds summary_type summary_use_proj task_specific_params tf_legacy_loss
    tie_encoder_decoder tie_weights_ tokenizer_class torchscript transformers_weights unk_token_id use_bfloat16
    use_cache use_return_dict
"""
_OF_GENERATION = """
    bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
    exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length
    min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores
    remove_invalid_values repetition_penalty return_dict_in_generate suppress_tokens temperature top_k top_p
    typical_p
"""
HARMLESS = {*HUGGINGFACE_FIELDS, *_GOOGLES.split(), *_TRANSFORMERS.split(), *_OF_GENERATION.split()}
