/** Names of architectures that vLLM got in one span of its versions. */
interface Span {
  /** The last version known without them; null where the oldest that Cortex runs has them. */
  readonly after: string | null;
  /** The first version known with them. Where the release notes name it, `after` is the same: each one before lacks them. */
  readonly by: string;
  readonly names: ReadonlySet<string>;
}

const span = (after: string | null, by: string, names: string): Span => ({
  after,
  by,
  names: new Set(names.trim().split(/\s+/)),
});

/**
 * vLLM's vllm/model_executor/models/registry.py, as it stood in 0.6.3, in July 2025, in January 2026 and in June 2026; `by` is
 * the release after that. Single ones are from the release notes (github.com/vllm-project/vllm/releases).
 */
export const vllmSpans: readonly Span[] = [
  span(
    null,
    '0.6.3',
    `AquilaModel AquilaForCausalLM ArcticForCausalLM BaiChuanForCausalLM BaichuanForCausalLM BloomForCausalLM ChatGLMModel
    ChatGLMForConditionalGeneration CohereForCausalLM DbrxForCausalLM DeciLMForCausalLM DeepseekForCausalLM
    DeepseekV2ForCausalLM ExaoneForCausalLM FalconForCausalLM GemmaForCausalLM Gemma2ForCausalLM GPT2LMHeadModel
    GPTBigCodeForCausalLM GPTJForCausalLM GPTNeoXForCausalLM GraniteForCausalLM GraniteMoeForCausalLM InternLMForCausalLM
    InternLM2ForCausalLM JAISLMHeadModel JambaForCausalLM LlamaForCausalLM LLaMAForCausalLM MistralForCausalLM
    MixtralForCausalLM QuantMixtralForCausalLM MptForCausalLM MPTForCausalLM MiniCPMForCausalLM MiniCPM3ForCausalLM
    NemotronForCausalLM OlmoForCausalLM OlmoeForCausalLM OPTForCausalLM OrionForCausalLM PersimmonForCausalLM PhiForCausalLM
    Phi3ForCausalLM Phi3SmallForCausalLM PhiMoEForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM RWForCausalLM
    StableLMEpochForCausalLM StableLmForCausalLM Starcoder2ForCausalLM SolarForCausalLM XverseForCausalLM BartModel
    BartForConditionalGeneration MistralModel Qwen2ForRewardModel Gemma2Model Blip2ForConditionalGeneration
    ChameleonForConditionalGeneration FuyuForCausalLM InternVLChatModel LlavaForConditionalGeneration
    LlavaNextForConditionalGeneration LlavaNextVideoForConditionalGeneration LlavaOnevisionForConditionalGeneration MiniCPMV
    NVLM_D PaliGemmaForConditionalGeneration Phi3VForCausalLM PixtralForConditionalGeneration QWenLMHeadModel
    Qwen2VLForConditionalGeneration UltravoxModel MllamaForConditionalGeneration EAGLEModel MedusaModel`,
  ),
  span('0.8.3', '0.8.3', 'Llama4ForConditionalGeneration'),
  span('0.8.4', '0.8.4', 'Qwen3ForCausalLM Qwen3MoeForCausalLM SmolVLMForConditionalGeneration Glm4ForCausalLM'),
  span(
    '0.8.5',
    '0.8.5',
    `ModernBertModel ModernBertForSequenceClassification GraniteSpeechForConditionalGeneration Plamo2ForCausalLM
    KimiVLForConditionalGeneration Qwen2_5OmniModel Qwen2_5OmniForConditionalGeneration`,
  ),
  span(
    '0.6.3',
    '0.10.1',
    `ArceeForCausalLM MiniMaxForCausalLM MiniMaxText01ForCausalLM MiniMaxM1ForCausalLM BailingMoeForCausalLM BambaForCausalLM
    Cohere2ForCausalLM DeepseekV3ForCausalLM Dots1ForCausalLM Ernie4_5_ForCausalLM Ernie4_5_MoeForCausalLM Exaone4ForCausalLM
    Fairseq2LlamaForCausalLM Gemma3ForCausalLM Gemma3nForConditionalGeneration GlmForCausalLM Glm4MoeForCausalLM
    GraniteMoeHybridForCausalLM GraniteMoeSharedForCausalLM GritLM Grok1ModelForCausalLM HunYuanMoEV1ForCausalLM
    HunYuanDenseV1ForCausalLM InternLM2VEForCausalLM InternLM3ForCausalLM MambaForCausalLM FalconMambaForCausalLM
    FalconH1ForCausalLM Mamba2ForCausalLM MiMoForCausalLM NemotronHForCausalLM Olmo2ForCausalLM Phi4FlashForCausalLM
    TeleChat2ForCausalLM TeleFLMForCausalLM Zamba2ForCausalLM BertModel GPT2ForSequenceClassification GteModel GteNewModel
    InternLM2ForRewardModel JambaForSequenceClassification LlamaModel NomicBertModel Qwen2Model Qwen2ForProcessRewardModel
    RobertaForMaskedLM RobertaModel XLMRobertaModel PrithviGeoSpatialMAE BertForSequenceClassification
    RobertaForSequenceClassification XLMRobertaForSequenceClassification JinaVLForRanking AriaForConditionalGeneration
    AyaVisionForConditionalGeneration DeepseekVLV2ForCausalLM Gemma3ForConditionalGeneration GLM4VForCausalLM
    Glm4vForConditionalGeneration H2OVLChatModel Idefics3ForConditionalGeneration KeyeForConditionalGeneration
    Llama_Nemotron_Nano_VL MantisForConditionalGeneration MiniMaxVL01ForConditionalGeneration MiniCPMO
    Mistral3ForConditionalGeneration MolmoForCausalLM Ovis QwenVLForConditionalGeneration Qwen2_5_VLForConditionalGeneration
    Qwen2AudioForConditionalGeneration Phi4MMForCausalLM TarsierForConditionalGeneration Tarsier2ForConditionalGeneration
    VoxtralForConditionalGeneration Florence2ForConditionalGeneration SkyworkR1VChatModel WhisperForConditionalGeneration`,
  ),
  span(
    '0.9.2',
    '0.15.0',
    `AfmoeForCausalLM ApertusForCausalLM BailingMoeV2ForCausalLM CwmForCausalLM DeepseekV32ForCausalLM Ernie4_5ForCausalLM
    FlexOlmoForCausalLM Gemma3nForCausalLM Qwen3NextForCausalLM GptOssForCausalLM HCXVisionForCausalLM Jais2ForCausalLM
    KimiLinearForCausalLM Lfm2ForCausalLM Lfm2MoeForCausalLM Llama4ForCausalLM LongcatFlashForCausalLM MiniMaxM2ForCausalLM
    MistralLarge3ForCausalLM MiMoV2FlashForCausalLM Olmo3ForCausalLM OuroForCausalLM PanguEmbeddedForCausalLM
    PanguProMoEV2ForCausalLM PanguUltraMoEForCausalLM Plamo3ForCausalLM SeedOssForCausalLM Step3TextForCausalLM
    TeleChatForCausalLM BertSpladeSparseEmbeddingModel Gemma3TextModel LlamaBidirectionalModel CLIPModel SiglipModel Terratorch
    BertForTokenClassification GteNewForSequenceClassification LlamaBidirectionalForSequenceClassification
    ModernBertForTokenClassification AudioFlamingo3ForConditionalGeneration BagelForConditionalGeneration
    BeeForConditionalGeneration Cohere2VisionForConditionalGeneration DeepseekOCRForCausalLM DotsOCRForCausalLM
    Ernie4_5_VLMoeForConditionalGeneration GlmAsrForConditionalGeneration Glm4vMoeForConditionalGeneration
    HunYuanVLForConditionalGeneration NemotronH_Nano_VL_V2 OpenCUAForConditionalGeneration InternS1ForConditionalGeneration
    InternVLForConditionalGeneration IsaacForConditionalGeneration KeyeVL1_5ForConditionalGeneration RForConditionalGeneration
    MoonshotKimiaForCausalLM LightOnOCRForConditionalGeneration MiDashengLMModel Ovis2_5 PaddleOCRVLForConditionalGeneration
    Qwen3OmniMoeForConditionalGeneration Qwen3VLForConditionalGeneration Qwen3VLMoeForConditionalGeneration
    Step3VLForConditionalGeneration SmolLM3ForCausalLM Emu3ForConditionalGeneration`,
  ),
  span('0.19.0', '0.19.0', 'Gemma4ForCausalLM Gemma4ForConditionalGeneration'),
  span('0.22.0', '0.22.0', 'DeepseekV4ForCausalLM'),
  span(
    '0.13.0',
    '0.23.0',
    `ExaoneMoEForCausalLM Rnj1ForCausalLM Glm4MoeLiteForCausalLM GlmMoeDsaForCausalLM Grok1ForCausalLM HYV3ForCausalLM
    HCXVisionV2ForCausalLM HyperCLOVAXForCausalLM IQuestCoderForCausalLM IQuestLoopCoderForCausalLM LagunaForCausalLM
    Ministral3ForCausalLM MiMoV2ForCausalLM NemotronHPuzzleForCausalLM OlmoHybridForCausalLM Param2MoEForCausalLM
    SarvamMoEForCausalLM SarvamMLAForCausalLM Step1ForCausalLM Step3p5ForCausalLM TeleChat3ForCausalLM ErnieModel
    BgeM3EmbeddingModel JinaEmbeddingsV5Model VoyageQwen3BidirectionalEmbedModel ColPaliForRetrieval LlamaNemotronVLModel
    HF_ColBERT ColBERTModernBertModel ColBERTJinaRobertaModel ColBERTLfm2Model JinaForRanking ColModernVBertForRetrieval
    ColQwen3 OpsColQwen3Model ColQwen3_5 Qwen3VLNemotronEmbedModel ErnieForTokenClassification
    Qwen3ASRForcedAlignerForTokenClassification ErnieForSequenceClassification LlamaNemotronVLForSequenceClassification
    MusicFlamingoForConditionalGeneration Cheers CheersForConditionalGeneration DeepseekOCR2ForCausalLM
    Eagle2_5_VLForConditionalGeneration Exaone4_5_ForConditionalGeneration FireRedASR2ForConditionalGeneration
    FunASRForConditionalGeneration FunAudioChatForConditionalGeneration GlmOcrForConditionalGeneration
    Granite4VisionForConditionalGeneration InternS1ProForConditionalGeneration InternS2PreviewForConditionalGeneration
    KananaVForConditionalGeneration KimiK25ForConditionalGeneration Lfm2VlForConditionalGeneration MiMoV2OmniForCausalLM
    MiniCPMV4_6ForConditionalGeneration Molmo2ForConditionalGeneration Moondream3ForCausalLM HfMoondream
    NemotronH_Nano_Omni_Reasoning_V3 NemotronH_Super_Omni_Reasoning_V3 OpenPanguVLForConditionalGeneration
    OpenVLAForActionPrediction Ovis2_6ForCausalLM Ovis2_6_MoeForCausalLM Phi4ForCausalLMV QianfanOCRForConditionalGeneration
    Qwen3ASRForConditionalGeneration Qwen3ASRRealtimeGeneration Qwen3_5ForConditionalGeneration
    Qwen3_5MoeForConditionalGeneration StepVLForConditionalGeneration VoxtralRealtimeGeneration
    CohereAsrForConditionalGeneration NemotronParseForConditionalGeneration`,
  ),
];

/** _EMBEDDING_MODELS of the same file, without those that also write texts: they make vectors of texts. */
export const vllmEmbedders: ReadonlySet<string> = new Set(
  `BertModel BertSpladeSparseEmbeddingModel ErnieModel BgeM3EmbeddingModel Gemma2Model Gemma3TextModel GteModel GteNewModel
  JinaEmbeddingsV5Model LlamaBidirectionalModel LlamaModel MistralModel ModernBertModel NomicBertModel Qwen2Model Qwen3Model
  RobertaForMaskedLM RobertaModel VoyageQwen3BidirectionalEmbedModel XLMRobertaModel CLIPModel SiglipModel`.split(
    /\s+/,
  ),
);

/** _PREVIOUSLY_SUPPORTED_MODELS of the same file, as of 0.27: the last version that has each; with _OOT_SUPPORTED_MODELS. */
export const vllmEnded: Readonly<Record<string, string>> = {
  MotifForCausalLM: '0.10.2',
  Phi3SmallForCausalLM: '0.9.2',
  Phi4FlashForCausalLM: '0.10.2',
  Phi4MultimodalForCausalLM: '0.12.0',
  BartModel: '0.10.2',
  BartForConditionalGeneration: '0.10.2',
  DonutForConditionalGeneration: '0.10.2',
  Florence2ForConditionalGeneration: '0.10.2',
  MBartForConditionalGeneration: '0.10.2',
  MllamaForConditionalGeneration: '0.10.2',
  JAISLMHeadModel: '0.22.0',
  ErnieModel: '0.23.0',
  ErnieForSequenceClassification: '0.23.0',
  ErnieForTokenClassification: '0.23.0',
  InternLM2VEForCausalLM: '0.23.0',
  QWenLMHeadModel: '0.23.0',
  QwenVLForConditionalGeneration: '0.23.0',
  InternLMForCausalLM: '0.23.0',
  XverseForCausalLM: '0.23.0',
  Dots1ForCausalLM: '0.23.0',
  BambaForCausalLM: '0.23.0',
  MiniMaxForCausalLM: '0.23.0',
  MiniMaxText01ForCausalLM: '0.23.0',
  MiniMaxM1ForCausalLM: '0.23.0',
  MiniMaxVL01ForConditionalGeneration: '0.23.0',
  BaiChuanForCausalLM: '0.23.0',
  BaichuanForCausalLM: '0.23.0',
  AquilaModel: '0.24.0',
  AquilaForCausalLM: '0.24.0',
  Grok1ModelForCausalLM: '0.24.0',
  Grok1ForCausalLM: '0.24.0',
  TarsierForConditionalGeneration: '0.24.0',
  Tarsier2ForConditionalGeneration: '0.23.0',
  MantisForConditionalGeneration: '0.24.0',
  MusicFlamingoForConditionalGeneration: '0.24.0',
  AyaVisionForConditionalGeneration: '0.24.0',
  TeleChatForCausalLM: '0.25.0',
  PersimmonForCausalLM: '0.25.0',
  FuyuForCausalLM: '0.25.0',
  Plamo2ForCausalLM: '0.26.0',
  OuroForCausalLM: '0.26.0',
};
