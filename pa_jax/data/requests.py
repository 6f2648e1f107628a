"""Requests and the slots that a good answer to each depends on, written by hand.

Half of them ("dev") is for choosing thresholds, the other half ("test") for measuring; the split
follows from the words alone. A request without slots depends on nothing that is known of a user.
The slots are those that would change a good answer, not all that could be asked.
"""

import dataclasses
import functools

from pa_jax.data import synth_truth as truth
from pa_jax.profile import taxonomy

SPLITS = ("dev", "test")

_TEXT = """
food/cuisine food/spice_level food/restaurant_setting food/restaurant_budget food/meat_and_fish food/allergies food/religious_rules food/alcohol | Where should I take a client for dinner on Thursday?
food/cuisine food/cooking_time food/cooking_skill food/meat_and_fish food/allergies food/protein_source food/carbohydrates food/disliked_ingredients food/cooking_method | What can I make tonight with what's in a normal fridge?
food/breakfast food/coffee food/tea food/eating_hours food/cooking_time food/sodium_and_sugar | Give me an idea for something to eat before I leave for the office.
food/sweetness food/baking food/cooking_skill food/allergies food/sodium_and_sugar | I promised to bring a cake on Sunday. Which one should I bake?
food/takeaway food/cuisine food/spice_level food/meat_and_fish food/allergies food/restaurant_budget | I'm too tired to cook. Order me something.
food/coffee food/tea food/soft_drinks food/sweetness | Order a drink for me at the café, I'll be there in ten minutes.
food/meal_planning food/cooking_time food/meat_and_fish food/organic_and_local food/allergies food/portion_size food/protein_source food/carbohydrates | Write a grocery list for next week's dinners.
food/alcohol food/soft_drinks food/snacks home/hosting food/allergies | Six people are coming over to watch the match. What should I get in to drink and nibble?
food/snacks food/allergies food/sodium_and_sugar food/texture food/sweetness | What could I keep in my desk drawer for the afternoon slump?
food/alcohol food/restaurant_setting food/restaurant_budget | Recommend a bottle to go with the roast, please.
food/cuisine food/spice_level food/food_adventure food/disliked_ingredients food/allergies food/texture food/meat_and_fish | Pick three dishes for me from this Thai menu.
food/protein_source food/meat_and_fish food/allergies food/portion_size health/fitness_goal health/weight_approach food/sodium_and_sugar | Plan my lunches so that I eat a bit better this month.
food/cooking_method food/cooking_skill home/cookware food/cooking_time | Teach me how to prepare a whole fish at home.
travel/flight_seat travel/flight_time travel/stopovers travel/travel_budget travel/luggage travel/booking travel/green_travel | Book me a flight to Tokyo in May.
travel/lodging travel/room_needs travel/travel_budget travel/accessibility | Find me somewhere to stay in Prague for three nights.
travel/destination_type travel/climate travel/season travel/trip_length travel/travel_company travel/travel_budget travel/travel_activity travel/green_travel | Where should I go on holiday this year?
travel/trip_pace travel/travel_activity travel/guide food/cuisine travel/city_transport leisure/museums travel/accessibility | Plan two days in Rome for me.
travel/city_transport travel/accessibility travel/commute | What's the best way to get from the station to the old town?
travel/commute work/work_location travel/city_transport travel/green_travel | How should I get to my new office every morning?
travel/car_type travel/driving_style travel/green_travel work/debt | My old car broke down for good. What should replace it?
travel/long_distance_mode travel/green_travel travel/stopovers travel/travel_budget | I need to be in Marseille next Friday. How do I get there?
travel/camping travel/destination_type health/outdoor_sport travel/luggage travel/safety | We want to spend a weekend in the wild. What would you suggest?
travel/luggage travel/airport travel/climate | Make me a packing list for a week in Iceland.
travel/day_trips travel/driving_style health/outdoor_sport travel/travel_company | What could we do this Saturday outside the city?
travel/cruise travel/travel_budget travel/trip_length travel/destination_type | Is a voyage along the Norwegian fjords a good idea for me?
travel/local_contact travel/safety travel/guide travel/travel_activity | I'll be in Morocco for the first time. How should I spend my days there?
travel/airport travel/flight_time travel/flight_seat | My plane leaves at noon. When should I leave the house, and shall I check in already?
travel/driving_style travel/car_type | Map out the drive to my parents' place in Devon.
communication/email_tone communication/formality work/work_messages | Draft a message to my landlord about the broken boiler.
communication/answer_length communication/vocabulary communication/examples_in_answers communication/answer_layout communication/sources learning/theory_or_practice | Explain how vaccines work.
communication/code_style_in_answers technology/programming_language communication/step_by_step learning/coding_level | Show me how to read a CSV file and sum a column.
communication/storytelling communication/humour communication/language leisure/creative_writing | Write me a bedtime story about a fox.
communication/directness communication/encouragement communication/disagreement learning/mistakes | Here's my essay. Tell me what you think of it.
communication/units food/cooking_method communication/step_by_step | How much flour do I need for two loaves, and how hot should the oven be?
communication/email_tone communication/formality communication/emoji communication/humour | Write a birthday message to my boss.
communication/pronouns communication/form_of_address communication/formality | Write a short bio of me for the conference website.
communication/sources communication/answer_layout communication/answer_length learning/research_sources | Summarise what is known about intermittent fasting.
health/exercise_type health/workout_time health/workout_length health/workout_place health/fitness_goal health/exercise_intensity health/injury health/chronic_condition health/workout_company | Set up a training plan for me.
health/sleep_schedule health/sleep_environment health/screen_breaks home/bed_and_bedding | I wake up tired every day. What can I change?
health/stress_relief health/meditation health/mental_support | Work has been too much lately and I can't calm down. What could help?
health/medical_care health/treatment_style health/chronic_condition health/health_information health/pregnancy_and_birth | I've had a sore throat for three days. What should I do?
health/weight_approach health/fitness_goal health/exercise_type food/sodium_and_sugar health/chronic_condition | I'd like to lose a few kilos before summer.
health/team_sport health/individual_sport health/exercise_type health/workout_company health/injury | Which club near me should I join to get moving again?
health/spectator_sport leisure/live_shows leisure/film_place | What's worth watching on TV this weekend if I'm in the mood for a match?
health/outdoor_sport health/injury health/exercise_intensity travel/day_trips | Suggest something active to do in the hills on Sunday.
health/supplements health/chronic_condition health/treatment_style food/meat_and_fish | Do I need any vitamins in winter?
health/activity_tracking technology/wearable technology/privacy | Is it worth getting something that counts my steps?
health/daily_movement work/work_environment health/workout_length health/injury | I sit at a desk all day and my back hurts. How do I move more?
health/dental_care health/treatment_style | My gums bleed a little. What should I use?
health/meditation health/stress_relief health/workout_time | I want to start a calm morning ritual.
health/pregnancy_and_birth health/medical_care health/health_information | We're expecting in October. What should I arrange now?
leisure/film_genre leisure/film_place leisure/content_limits leisure/subtitles technology/tv_service | What should I watch tonight?
leisure/book_genre leisure/book_format leisure/book_length leisure/poetry_and_classics | I finished my novel. What's next?
leisure/music_genre leisure/music_era leisure/music_listening | Put together a playlist for the drive.
leisure/music_for_focus leisure/music_genre work/focus_method | I need something in the background while I write my thesis.
leisure/game_genre leisure/game_platform leisure/game_mode leisure/game_difficulty | Which video game should I buy in the sale?
leisure/board_games leisure/game_mode home/hosting | We have friends over on Friday. What could we play at the table?
leisure/instrument learning/skill_to_learn learning/tutor_style leisure/music_genre | I've always wanted to make music myself. Where do I begin?
leisure/podcasts leisure/news_reading leisure/music_listening | Recommend something to listen to on the train.
leisure/museums leisure/visual_art travel/guide | Which exhibition should I see in London?
leisure/live_shows leisure/nightlife leisure/music_genre leisure/visual_art | Get me tickets for something on Saturday night.
leisure/crafts leisure/visual_art leisure/puzzles leisure/collecting learning/skill_to_learn | I need a new hobby for rainy evenings.
leisure/photography technology/phone_platform travel/travel_photos | Which camera should I get?
leisure/series_style leisure/subtitles leisure/content_limits technology/tv_service leisure/film_genre | We need a new show to binge.
leisure/nightlife food/alcohol leisure/music_genre | Where should we go out after ten?
leisure/news_reading communication/answer_length leisure/podcasts | Brief me on what happened in the world this week.
leisure/creative_writing communication/storytelling leisure/book_genre | Help me outline a short story for a contest.
leisure/puzzles leisure/game_difficulty | Give me something to rack my brain over during lunch.
home/housing_type home/neighbourhood home/rent_or_own home/household travel/commute | I have to move out by June. What should I look for?
home/interior_style home/wall_colour home/furniture_source home/home_material home/lighting | Help me redo my living room.
home/pet_species home/pet_source home/pet_allergy home/dog_breed home/housing_type | The children want an animal. Which one suits us?
home/garden_type home/house_plants home/noise | What should I plant on the balcony?
home/heating home/lighting home/waste people/environment_values | My energy bill doubled. What can I do at home?
home/cleaning_routine home/cleaning_products home/tidiness home/laundry | My flat is a mess. Make me a plan to get on top of it.
home/repairs home/home_security | The lock on my front door is loose. What should I do about it?
home/bed_and_bedding health/sleep_environment home/home_material | I need a new mattress.
home/hosting food/cuisine food/allergies people/social_energy home/tidiness | My in-laws are visiting for the weekend. Help me prepare.
home/pet_food home/pet_care home/pet_species | What should I buy for the cat this month?
home/dog_breed home/pet_training home/pet_source | We've decided on a puppy. How do we go about it?
home/laundry home/cleaning_products style/fabric | How do I wash my new sweater?
home/cookware food/cooking_method home/home_material | My frying pan is ruined. Which one should I get?
home/wall_colour home/interior_style | What shall I paint the bedroom?
home/house_plants home/lighting | I'd like some green on my windowsill that survives me.
style/clothing_style style/clothing_colour style/fit style/formal_occasions style/clothing_budget style/dress_modesty | What should I wear to my cousin's wedding?
style/footwear style/clothing_budget style/fashion_ethics style/brands | I need new shoes for the autumn.
style/outerwear style/fabric style/clothing_colour style/clothing_budget style/fashion_ethics style/fit | Help me find a winter coat.
style/hair_length style/hair_colour style/hair_care | I'm seeing the hairdresser tomorrow. What should I ask for?
style/skincare_routine style/skin_type style/beauty_ethics style/sun_protection | Which cream should I put on my face in the morning?
style/workwear style/clothing_style style/clothing_colour style/fit | Put together outfits for my first week at the bank.
style/jewellery_metal style/accessories style/clothing_budget | Choose a necklace that goes with my blue dress.
style/fragrance style/beauty_ethics | Which perfume would you get me?
style/shopping_channel style/clothing_budget style/fashion_ethics style/clothing_style style/brands | My wardrobe is falling apart. Where do I buy new things?
style/bags style/accessories travel/luggage | I need something to carry my laptop and lunch in.
style/makeup style/skin_type style/beauty_ethics | How should I do my face for the party?
style/body_art | I'm thinking of getting some ink on my forearm. Any ideas?
style/grooming style/hair_care style/skin_type | My beard itches. What should I do with it?
style/loungewear style/fabric style/fit | I want something comfy for evenings on the sofa.
style/sun_protection style/skin_type style/beauty_ethics | We're off to the beach. What do I put on my skin?
technology/phone_platform technology/phone_size technology/privacy technology/updates | My phone died. Which one should I buy?
technology/computer_os technology/computer_form technology/monitor_setup work/work_location | I need a new machine for work.
technology/passwords technology/privacy | Somebody got into my account. How do I stay safe from now on?
technology/cloud_storage technology/backup technology/privacy | Where should I put my holiday photos so that I never lose them?
technology/smart_home technology/voice_assistant technology/privacy home/lighting | I'd like the lights to come on by themselves.
technology/headphones leisure/music_listening | What should I plug into my ears on the plane?
technology/programming_language technology/code_editor learning/coding_level technology/licence_model | I want to build a small website. What do I use?
technology/chat_app technology/privacy technology/social_media | How do I stay in touch with my cousins abroad?
technology/notifications health/screen_breaks work/focus_method | My phone keeps distracting me. Fix it.
technology/tv_service leisure/series_style leisure/film_genre | Which subscriptions are worth keeping?
technology/keyboard technology/monitor_setup work/work_environment | Set up a desk where I can type all day.
technology/browser technology/privacy technology/search_tool | Pages keep following me around with ads. What can I change?
technology/payment_tech technology/privacy work/banking | Do I still need to carry cash?
technology/device_repair work/spending_style technology/updates | My laptop is slow. Shall I get it fixed?
work/career_goal work/industry work/job_values work/contract_type work/company_size work/job_search | Help me find a new job.
work/investing work/risk_appetite work/saving_style work/retirement work/debt | I inherited ten thousand euros. What should I do with it?
work/focus_method work/task_method work/deadlines work/work_break technology/notifications | I never get my work done on time.
work/meetings work/collaboration_style work/team_role work/work_messages | My project with three colleagues starts on Monday. How should we organise it?
work/insurance work/risk_appetite travel/safety | Which policies do I really need?
work/donations people/volunteering people/environment_values people/animal_ethics | I'd like to support a good cause this Christmas.
work/feedback_at_work work/management_style work/career_goal | My yearly review is next week. Help me prepare what to say.
work/work_hours work/work_location work/parental_leave work/contract_type | What should I negotiate with my employer?
work/taxes communication/step_by_step | It's that time of the year again and my receipts are in a shoebox.
work/bargains work/spending_style technology/payment_tech | I want a new dishwasher without paying too much.
work/banking technology/privacy work/saving_style | Where should I open an account?
work/debt work/saving_style work/spending_style work/risk_appetite | I owe money on three cards. How do I get rid of it?
work/business_travel travel/flight_seat travel/lodging travel/flight_time travel/room_needs travel/travel_budget | I have to visit our office in Chicago for two days. Arrange it.
learning/target_language learning/language_learning_method learning/lesson_length learning/study_time learning/motivation | I want to pick up a new language.
learning/memorising learning/note_taking learning/study_time learning/study_place learning/exam_style learning/study_company | My exam is in three weeks. How should I prepare?
learning/learning_format learning/course_provider learning/education_budget learning/learning_pace learning/credential | I'd like to learn about data science.
learning/math_level learning/theory_or_practice learning/modality communication/examples_in_answers communication/vocabulary | Explain Bayes' theorem to me.
learning/science_interest leisure/book_genre learning/humanities_interest leisure/podcasts | Tell me something fascinating I don't know yet.
learning/childrens_schooling people/parenting_style learning/education_budget | Our daughter starts school next year. Where do we send her?
learning/reading_technique learning/note_taking learning/research_sources | I have forty papers to get through by Friday.
learning/tutor_style learning/mistakes learning/learning_pace learning/lesson_length | Be my Spanish teacher for a while.
learning/skill_to_learn learning/learning_format learning/study_time | I have a free month. What could I learn to do with my hands?
people/gift_giving people/holidays work/spending_style | What should I get my brother for his birthday?
people/celebrations people/social_energy home/hosting people/friend_circle | I turn forty in March. Plan something.
people/dating_style people/date_activity people/relationship_status | I'd like to meet someone. How do I start?
people/date_activity food/cuisine food/alcohol food/restaurant_setting food/restaurant_budget | Where do I take her on Friday evening?
people/wedding_style people/faith work/spending_style | We're getting married! Where do we begin?
people/parenting_style people/children_media leisure/content_limits | My son won't put the tablet down. What do I do?
people/conflict_style people/honesty communication/directness | My best friend let me down. What should I say to her?
people/elder_care people/tradition home/housing_type | My mother can't live on her own any longer.
people/faith people/prayer people/remembrance people/tradition | My grandfather died. How do we say goodbye to him?
people/volunteering people/community people/political_engagement people/environment_values | I want to do something useful in my neighbourhood.
people/friend_circle people/social_energy people/community | I just moved here and I know nobody.
people/decision_making people/life_priority work/risk_appetite work/career_goal | Should I take the job abroad or stay?
people/holidays people/tradition people/faith food/religious_rules | Help me plan the festive season with the family.
people/affection people/gift_giving people/relationship_status people/date_activity | How can I show my wife that I love her?
 | What's 17 percent of 340?
 | How many time zones does Russia have?
 | Translate "where is the pharmacy" into Finnish.
 | When was the printing press invented?
 | What does the word palimpsest mean?
 | Fix the comma in this sentence: "Lets eat grandma."
 | Who wrote Don Quixote?
 | Convert 30 kilometres to miles.
 | Why do cats purr?
 | How far is the moon from the earth?
 | What's the capital of Mongolia?
 | How do you spell necessary?
 | Is 91 a prime number?
 | What day of the week was 1 January 2000?
 | Why is the sky red in the evening?
 | Give me a synonym of "quickly".
 | How many minutes are there in a week?
 | What is the chemical symbol of gold?
 | Turn this into the past tense: "She goes home."
 | Which river flows through Vienna?
 | How do I say thank you in Korean?
 | What causes thunder?
 | Sort these names by alphabet: Tom, Mei, Carla, Ben.
 | What's the square root of 144?
 | Who was the first person on the moon?
 | Does the letter y count as a vowel?
 | Thanks, that was helpful.
 | Okay, got it.
 | Good morning!
 | That's all for today, bye.
"""


@dataclasses.dataclass(frozen=True)
class Request:
    """What a user asks for, and the slots of the taxonomy that an answer depends on."""

    words: str
    slots: tuple[str, ...]


@functools.cache
def load(split: str) -> tuple[Request, ...]:
    """The requests of a split, in file order; every slot is a path of the taxonomy."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} does not exist: choose one of {SPLITS}.")
    found = []
    for line in _TEXT.strip().splitlines():
        slots, _, words = line.partition("|")
        request = Request(words.strip(), tuple(slots.split()))
        for slot in request.slots:
            taxonomy.Taxonomy.load().get(slot)
        if truth.digest("request", request.words) % 2 == SPLITS.index(split):
            found.append(request)
    return tuple(found)
